"""The subject set: captions, order, and what it refuses."""

import pytest
from PIL import Image

from graftwork.core import GraftworkError
from graftwork.core.config import as_dict, parse
from graftwork.data.subject import Subject, SubjectConfig


def pictures(folder, *names):
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(folder / name)
    return folder


def subject(folder, **settings):
    table = {"path": str(folder), "trigger": "sks", "class_word": "cat", **settings}
    return Subject(parse(SubjectConfig, table, "run.toml: data"))


def test_captions_with_and_without_the_trigger(tmp_path):
    data = subject(pictures(tmp_path, "b.png", "a.JPG"))
    data.check()
    assert len(data) == 2
    assert data.captions() == ["a photo of sks cat"] * 2
    assert [data.caption_free(i) for i in range(2)] == ["a photo of cat"] * 2
    assert data.trigger == "sks"
    assert [example.path.name for example in data.examples] == ["a.JPG", "b.png"]
    assert data.image(1).getpixel((0, 0)) == (0, 0, 0)


def test_templates_are_dealt_in_turn(tmp_path):
    templates = ["a photo of {subject}", "{subject}, close up"]
    data = subject(pictures(tmp_path, "a.png", "b.png", "c.png"), template=templates)
    assert data.captions() == ["a photo of sks cat", "sks cat, close up", "a photo of sks cat"]
    assert data.caption_free(1) == "cat, close up"
    again = parse(SubjectConfig, as_dict(data.settings), "run.toml: data")
    assert Subject(again).hash() == data.hash()


def test_other_files_are_skipped_and_counted(tmp_path):
    folder = pictures(tmp_path, "a.png")
    for name in ("b.heic", "c.gif", "README.md", "a.txt", ".hidden"):
        (folder / name).touch()
    (folder / "folder.png").mkdir()
    data = subject(folder)
    assert len(data) == 1
    assert [path.name for path in data.skipped] == ["b.heic", "c.gif"]


def test_the_hash_follows_contents_and_captions(tmp_path):
    one = subject(pictures(tmp_path / "one", "a.png", "b.png"))
    renamed = subject(pictures(tmp_path / "two", "c.png", "d.png"))
    swapped = subject(pictures(tmp_path / "three", "b.png", "a.png"))
    assert one.hash() == renamed.hash()
    different = [swapped, subject(tmp_path / "one", class_word="dog")]
    assert len({data.hash() for data in (one, *different)}) == 3


def test_check_names_the_damaged_image(tmp_path):
    folder = pictures(tmp_path, "a.png", "b.png")
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:40])
    data = subject(folder)
    with pytest.raises(GraftworkError, match=r"b\.png: .*; replace or remove the file$"):
        data.check()


def test_a_missing_folder(tmp_path):
    with pytest.raises(GraftworkError, match=r"nowhere: no such folder; check data\.path$"):
        subject(tmp_path / "nowhere")


def test_a_file_for_a_folder(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(GraftworkError, match=r"a\.png: is a file; data\.path must name the folder"):
        subject(tmp_path / "a.png")


def test_an_empty_folder(tmp_path):
    with pytest.raises(GraftworkError, match=r"holds no images; put some there \(\.bmp, \.jpeg"):
        subject(tmp_path)


def test_a_folder_of_other_files(tmp_path):
    (tmp_path / "a.heic").touch()
    with pytest.raises(GraftworkError, match=r"holds no images \(files of other kinds: 1\);"):
        subject(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trigger": " "}, "trigger: is empty"),
        ({"class_word": ""}, "class_word: is empty"),
        (
            {"template": "a photo"},
            "template: 'a photo' has no place for the subject; add {subject}",
        ),
        ({"template": []}, "template: is empty"),
        ({"trigger": "Cat"}, "trigger: 'Cat' is in the class word or the template already"),
        ({"template": "sks {subject}"}, "trigger: 'sks' is in the class word or the template"),
        ({"path": 3}, "path: expected a string"),
        ({"triger": "sks"}, "unknown key; did you mean 'trigger'?"),
    ],
)
def test_settings_are_refused_with_their_place(tmp_path, settings, message):
    with pytest.raises(GraftworkError) as caught:
        subject(tmp_path, **settings)
    assert str(caught.value).startswith("run.toml: data")
    assert message in str(caught.value)
