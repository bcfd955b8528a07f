"""Masks of the subject set: one for each image, of its size."""

import pytest
from PIL import Image

from graftwork.core import GraftworkError
from graftwork.core.config import parse
from graftwork.data.subject import Subject, SubjectConfig


def pictures(folder, *names, size=(8, 6), colour=0):
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.new("RGB", size, (colour, colour, colour)).save(folder / name)
    return folder


def subject(folder, **settings):
    table = {"path": str(folder), "trigger": "sks", "class_word": "cat", **settings}
    return Subject(parse(SubjectConfig, table, "run.toml: data"))


@pytest.fixture
def folder(tmp_path):
    return pictures(tmp_path / "images", "a.png", "b.jpg")


def test_every_image_has_the_mask_of_its_name(folder):
    masks = pictures(folder / "masks", "a.png", colour=255)
    pictures(masks, "b.png", colour=127)
    data = subject(folder, masks=str(masks))
    data.check()
    found = [data.mask(index) for index in range(2)]
    assert [(one.mode, one.size, one.getpixel((0, 0))) for one in found] == [
        ("L", (8, 6), 255),
        ("L", (8, 6), 127),
    ]
    assert len(data) == 2, "a subfolder holds no images of the set"


def test_without_a_folder_there_are_none(folder):
    assert subject(folder).mask(0) is None


def test_masks_are_part_of_the_contents(folder, tmp_path):
    masks = pictures(tmp_path / "masks", "a.png", "b.png", colour=9)
    before = subject(folder, masks=str(masks)).hash()
    assert before != subject(folder).hash()
    pictures(masks, "b.png", colour=10)
    assert subject(folder, masks=str(masks)).hash() != before


def missing(masks):
    (masks / "b.png").unlink()


def of_nothing(masks):
    pictures(masks, "c.png")


def of_another_size(masks):
    pictures(masks, "a.png", size=(6, 8))


def damaged(masks):
    (masks / "a.png").write_bytes(b"no picture")


def gone(masks):
    for path in masks.iterdir():
        path.unlink()
    masks.rmdir()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (missing, r"masks: no mask for b.jpg; add b.png"),
        (of_nothing, r"c.png: is the mask of no image; rename or remove it"),
        (of_another_size, r"masks/a.png: is 6 x 8 and a.png is 8 x 6; make them equal"),
        (damaged, r"masks/a.png: not an image"),
        (gone, r"masks: no such folder; check data.masks"),
    ],
)
def test_masks_that_do_not_fit(folder, tmp_path, damage, says):
    masks = pictures(tmp_path / "masks", "a.png", "b.png")
    damage(masks)
    with pytest.raises(GraftworkError, match=says):
        subject(folder, masks=str(masks)).check()
