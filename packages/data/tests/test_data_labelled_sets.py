"""Sets of labelled images: splits, tables, folders, archives, and what is wrong with them."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from skimage import data as skimage_data
from sklearn.datasets import load_digits

from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.data.labelled.label_set import TrainingSet


def read(kind: str, **settings: Any) -> TrainingSet:
    record = registry.find("datasets", kind)
    data = record.load()(parse(record.settings_class(), settings, kind))
    data.check()
    return data


def picture(path: Path, level: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.full((8, 9, 3), level, np.uint8)
    values[level % 8, level % 9] = 255 - level
    Image.fromarray(values).save(path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Ten cats and five dogs."""
    for name, count in (("cat", 10), ("dog", 5)):
        for number in range(count):
            picture(tmp_path / "set" / name / f"{number}.png", 10 * number + count)
    return tmp_path / "set"


def test_the_digits_are_scikit_learns() -> None:
    data, theirs = read("digits", test_share=0.1), load_digits()
    names = [data.name(index) for index in range(len(data))]
    for index in (0, 500, len(data) - 1):
        place = int(names[index].split()[1])
        expected = torch.from_numpy(theirs.images[place] * 255 / 16).round()
        assert torch.equal(data.image(index)[1].double(), expected.double())
        assert data.label(index) == theirs.target[place]


def test_a_share_of_each_class_is_held_out(folders: Path) -> None:
    data = read("class-folders", path=str(folders), test_share=0.4)
    test = data.held_out()
    names = {data.name(index) for index in range(len(data))}
    held = {test.name(index) for index in range(len(test))}
    assert not names & held
    assert len(names | held) == 15
    assert Counter(name.split("/")[0] for name in held) == {"cat": 4, "dog": 2}
    again = read("class-folders", path=str(folders), test_share=0.4).held_out()
    assert again.hash() == test.hash()
    other = read("class-folders", path=str(folders), test_share=0.4, seed=1).held_out()
    assert other.hash() != test.hash()


def test_classes_and_how_many_of_each(folders: Path) -> None:
    data = read("class-folders", path=str(folders), classes=["dog", "cat"], per_class=3)
    assert list(data.classes) == ["dog", "cat"]
    assert Counter(data.labels().tolist()) == {0: 3, 1: 3}


def test_labels_follow_the_files(folders: Path) -> None:
    data = read("class-folders", path=str(folders))
    for index in range(len(data)):
        assert data.name(index).startswith(data.classes[data.label(index)])


def test_domains_have_the_same_labels(folders: Path, tmp_path: Path) -> None:
    picture(tmp_path / "sketch" / "dog" / "a.png", 3)
    data = read("class-folders", path=str(folders), domains={"sketch": str(tmp_path / "sketch")})
    sketches = data.domains()["sketch"]
    assert sketches.labels().tolist() == [1]
    assert list(sketches.classes) == ["cat", "dog"]


def test_files_that_are_no_images_are_counted(folders: Path) -> None:
    (folders / "cat" / "notes.txt").write_text("x")
    (folders / "dog" / "photo.heic").write_text("x")
    (folders / "dog" / ".hidden").write_text("x")
    data = read("class-folders", path=str(folders))
    assert sorted(path.name for path in data.skipped) == ["notes.txt", "photo.heic"]


def test_a_damaged_file_is_named(folders: Path) -> None:
    (folders / "cat" / "0.png").write_bytes(b"\x89PNG damaged")
    data = read("class-folders", path=str(folders), test_share=0.1)
    places = [place for place in range(len(data)) if data.name(place) == "cat/0.png"]
    test = data.held_out()
    with pytest.raises(GraftworkError, match=r"cat/0\.png"):
        (data if places else test).image(places[0] if places else 0)
    data.hash()  # of bytes, whether or not they are a picture


def test_the_hash_follows_the_bytes(folders: Path, tmp_path: Path) -> None:
    before = read("class-folders", path=str(folders)).picture_hash()
    (folders / "cat" / "0.png").touch()
    assert read("class-folders", path=str(folders)).picture_hash() == before
    folders.rename(tmp_path / "elsewhere")
    assert read("class-folders", path=str(tmp_path / "elsewhere")).picture_hash() == before
    picture(tmp_path / "elsewhere" / "cat" / "0.png", 201)
    assert read("class-folders", path=str(tmp_path / "elsewhere")).picture_hash() != before


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"classes": ["cat", "dgo"]}, r"data\.classes: 'dgo' is none; did you mean 'dog'"),
        ({"classes": ["cat"]}, "one is nothing to tell apart"),
        ({"classes": ["cat", "cat"]}, "one is there twice"),
        ({"test_path": "nowhere"}, r"nowhere: no such folder; check data\.test_path"),
        ({"noise": 0.1, "noise_file": "x.csv"}, "given in two ways"),
        ({"noise": 1.0}, "noise"),
    ],
)
def test_settings_that_do_not_fit(folders: Path, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(GraftworkError, match=told):
        read("class-folders", path=str(folders), **settings)


def test_a_folder_of_no_class_is_refused(folders: Path, tmp_path: Path) -> None:
    picture(tmp_path / "test" / "dgo" / "a.png")
    with pytest.raises(GraftworkError, match=r"dgo: data\.path has no class .*'dog'"):
        read("class-folders", path=str(folders), test_path=str(tmp_path / "test"))


def test_an_empty_class_is_refused(folders: Path) -> None:
    (folders / "owl").mkdir()
    with pytest.raises(GraftworkError, match="owl: holds no images"):
        read("class-folders", path=str(folders))


ROWS = [("a.png", "cat", "train"), ("b.png", "dog", "train"), ("c.png", "cat", "test")]
ROWS += [("d.png", "dog", "test")]


def table(folder: Path, rows: Any = ROWS, head: tuple[str, ...] = ("file", "is", "part")) -> Path:
    for number, row in enumerate(rows):
        if row[0].endswith(".png") and row[0] != "gone.png":
            picture(folder / "pictures" / row[0], 20 * number)
    path = folder / "labels.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


COLUMNS = {"image_column": "file", "label_column": "is", "part_column": "part"}


def test_a_table_with_parts(tmp_path: Path) -> None:
    path = table(tmp_path)
    data = read("label-file", path=str(path), images=str(tmp_path / "pictures"), **COLUMNS)
    test = data.held_out()
    assert [data.name(index) for index in range(len(data))] == ["a.png", "b.png"]
    assert [test.name(index) for index in range(len(test))] == ["c.png", "d.png"]
    assert data.labels().tolist() == test.labels().tolist() == [0, 1]


def test_parquet_says_the_same(tmp_path: Path) -> None:
    path = table(tmp_path)
    columns = dict(zip(("file", "is", "part"), map(list, zip(*ROWS, strict=True)), strict=True))
    pq.write_table(pa.table(columns), tmp_path / "labels.parquet")
    own = {"images": str(tmp_path / "pictures"), **COLUMNS}
    one = read("label-file", path=str(path), **own)
    other = read("label-file", path=str(tmp_path / "labels.parquet"), **own)
    assert one.hash() == other.hash()


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (("gone.png", "cat", "train"), r"row 5: .*gone\.png: no such file"),
        (("e.png", "", "train"), r"row 5: 'e\.png' has no label"),
        (("", "cat", "train"), "row 5: names no image"),
        (("e.png", "cat", "somewhere"), "is in 'somewhere', which is neither train nor test"),
    ],
)
def test_bad_rows_are_told_or_counted(tmp_path: Path, row: tuple[str, ...], told: str) -> None:
    path = table(tmp_path, [*ROWS, row])
    own = {"images": str(tmp_path / "pictures"), **COLUMNS}
    with pytest.raises(GraftworkError, match=told):
        read("label-file", path=str(path), **own)
    data = read("label-file", path=str(path), skip_bad=True, **own)
    assert len(data) == 2
    assert len(data.skipped) == 1


def test_bad_rows_are_counted_in_the_error(tmp_path: Path) -> None:
    path = table(tmp_path, [*ROWS, ("gone.png", "cat", ""), ("f.png", "", "")])
    with pytest.raises(GraftworkError, match=r"row 5: .*\(2 rows are bad\); .*data\.skip_bad"):
        read("label-file", path=str(path), images=str(tmp_path / "pictures"), **COLUMNS)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.csv", "file,label\nx,y\n", r"has no column 'image' \(it has file, label\)"),
        ("a.csv", "", "has no column 'image'"),
        ("a.csv", "image,label\n", "has no row that can be used"),
        ("a.parquet", "no parquet", "cannot be read"),
        ("gone.csv", None, "cannot be read"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, name: str, text: str | None, told: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(GraftworkError, match=told) as caught:
        read("label-file", path=str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_pieces_of_training_and_test_share_no_pixel() -> None:
    own: dict[str, Any] = {"classes": ["astronaut", "brick"], "pieces": 20, "test_pieces": 20}
    data = read("photo-patches", side=48, **own)
    train = {bytes(data.image(index).numpy().tobytes()) for index in range(len(data))}
    assert len(train) == 40
    whole = torch.from_numpy(skimage_data.astronaut()).permute(2, 0, 1)
    edge = round(0.65 * whole.shape[2])
    for part, columns in ((data, (0, edge)), (data.held_out(), (edge, whole.shape[2]))):
        for index in range(20):
            left = found_at(whole, part.image(index))
            assert columns[0] <= left
            assert left + 48 <= columns[1]


def found_at(whole: torch.Tensor, piece: torch.Tensor) -> int:
    """The column at which a piece lies."""
    height, width = whole.shape[-2:]
    corner = (whole[:, : height - 47, : width - 47] == piece[:, :1, :1]).all(0)
    for top, left in corner.nonzero().tolist():
        if torch.equal(whole[:, top : top + 48, left : left + 48], piece):
            return left
    raise AssertionError("no such piece")


def test_a_piece_larger_than_a_photograph() -> None:
    with pytest.raises(GraftworkError, match=r"data\.side: 200 is more than .* of 'page'"):
        read("photo-patches", side=200, classes=["coffee", "page"])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"dataset": "MNITS"}, "torchvision has no 'MNITS'; did you mean 'MNIST'"),
        ({"dataset": "MNIST"}, "torchvision's MNIST cannot be read from"),
    ],
)
def test_archives_that_are_not_there(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(GraftworkError, match=told):
        read("torchvision", path=str(tmp_path), **settings)


def test_an_archive_by_its_folder(tmp_path: Path) -> None:
    """torchvision's own ImageFolder has no parts: a share of each class is held out."""
    for name in ("cat", "dog"):
        for number in range(4):
            picture(tmp_path / name / f"{number}.png", 30 * number + len(name))
    data = read("torchvision", dataset="ImageFolder", path=str(tmp_path), test_share=0.25)
    assert list(data.classes) == ["cat", "dog"]
    assert (len(data), len(data.held_out())) == (6, 2)
    assert data.image(0).shape == (3, 8, 9)
