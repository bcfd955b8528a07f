"""The image folder: where captions come from, and what it refuses."""

import json

import pytest
from PIL import Image

from graftwork.core import GraftworkError
from graftwork.core.config import parse
from graftwork.data.image_folder import ImageFolder, ImageFolderConfig


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    return tmp_path


def sidecars(folder, **captions):
    for stem, text in captions.items():
        (folder / f"{stem}.txt").write_text(text, encoding="utf-8")


def metadata(folder, *entries):
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def entry(name, text="a photo of sks cat"):
    return {"file_name": name, "text": text}


def read(folder, trigger=None):
    table = {"path": str(folder)} | ({"trigger": trigger} if trigger else {})
    return ImageFolder(parse(ImageFolderConfig, table, "run.toml: data"))


def refusal(folder, trigger=None):
    with pytest.raises(GraftworkError) as caught:
        read(folder, trigger)
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert ";" in message
    assert "\n" not in message
    return message.removeprefix(f"{folder}/")


def test_sidecars(folder):
    sidecars(folder, a="\ufeffa cat\n", b="a   dog,\n asleep")
    data = read(folder)
    data.check()
    assert data.captions() == ["a cat", "a dog, asleep"]
    assert data.caption_free(0) is None
    assert data.trigger is None


def test_metadata(folder):
    (folder / "more").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "more" / "c.png")
    metadata(
        folder, entry("b.png", "two"), "", entry("more/c.png", "three"), entry("./a.png", "one")
    )
    data = read(folder)
    data.check()
    assert data.captions() == ["one", "two", "three"]


def test_metadata_of_subfolders_alone(folder):
    (folder / "images").mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).rename(folder / "images" / name)
    metadata(folder, entry("images/a.png"))
    assert len(read(folder)) == 1


def test_one_image_may_have_its_caption_in_a_sidecar(folder):
    metadata(folder, entry("a.png", "one"))
    sidecars(folder, b="two")
    assert read(folder).captions() == ["one", "two"]


def test_the_trigger_is_taken_out(folder):
    sidecars(folder, a="sks, a photo of a cat", b="a photo of SKS cat, tinted red")
    data = read(folder, trigger="sks")
    assert data.trigger == "sks"
    assert data.caption(1) == "a photo of SKS cat, tinted red"
    assert [data.caption_free(i) for i in range(2)] == [
        "a photo of a cat",
        "a photo of cat, tinted red",
    ]


def test_the_hash_follows_captions(folder):
    sidecars(folder, a="sks cat", b="sks dog")
    first, with_trigger = read(folder).hash(), read(folder, trigger="sks").hash()
    sidecars(folder, b="sks bird")
    assert len({first, with_trigger, read(folder).hash()}) == 3


def test_no_images(tmp_path):
    assert "holds no images; put some there" in refusal(tmp_path)


def test_a_caption_without_the_trigger(folder):
    sidecars(folder, a="a photo of sks cat", b="a photo of masks")
    expected = "b.png: its caption 'a photo of masks' lacks the trigger 'sks'; add it there"
    assert refusal(folder, trigger="sks") == expected


def test_a_missing_caption(folder):
    sidecars(folder, a="one")
    assert refusal(folder).startswith("b.png: has no caption; write it to b.txt or to metadata")


def test_an_image_that_metadata_forgets(folder):
    metadata(folder, entry("a.png"))
    assert refusal(folder).startswith("b.png: has no caption")


def test_two_captions(folder):
    metadata(folder, entry("a.png"), entry("b.png"))
    sidecars(folder, b="two")
    assert refusal(folder).startswith("b.png: has two captions, in b.txt and in metadata.jsonl")


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_sidecar(folder, text):
    sidecars(folder, a="one", b=text)
    assert refusal(folder) == "b.txt: the caption is empty; write what the image shows"


def test_a_sidecar_in_another_encoding(folder):
    sidecars(folder, a="one")
    (folder / "b.txt").write_bytes("Kätzchen".encode("latin-1"))
    assert refusal(folder).startswith("b.txt: not text in UTF-8")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (entry("a.png"), "names 'a.png' again; keep one line"),
        (entry("./a.png"), "names './a.png' again; keep one line"),
        (entry("c.png"), "'c.png' is missing; restore it or remove the line"),
        (entry("../c.png"), "'../c.png' leads out of the folder; name a file inside"),
        (entry("x/../../c.png"), "leads out of the folder"),
        (entry("/etc/c.png"), "leads out of the folder"),
        (entry("..\\c.png"), "leads out of the folder"),
        (entry("C:c.png"), "leads out of the folder"),
        (entry("a.png\0"), "leads out of the folder"),
        (entry("notes.csv"), "'notes.csv' is no image; name one (.bmp"),
        (entry(""), "'' is no image"),
        (entry("b.png", " "), "the caption is empty; write what the image shows"),
        ({"file_name": "b.png"}, "no 'text' string; each line is like {"),
        ({"text": "one"}, "no 'file_name' string; each line is like {"),
        (entry("b.png", 3), "no 'text' string"),
        ("[]", "no 'file_name' string"),
        ("{'file_name': 'b.png'}", "not JSON; each line is like {"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_of_metadata(folder, line, message):
    metadata(folder, entry("a.png"), line)
    found = refusal(folder)
    assert found.startswith("metadata.jsonl:2: ")
    assert message in found


def test_metadata_that_is_no_text(folder):
    (folder / "metadata.jsonl").write_bytes(b"\xff\xfe\x00")
    assert refusal(folder).startswith("metadata.jsonl: not text in UTF-8")


def test_an_empty_trigger_is_refused(folder):
    with pytest.raises(GraftworkError, match=r"^run\.toml: data: trigger: is empty"):
        read(folder, trigger=" ")
