"""Images whose classes are in a table: CSV, or parquet."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.core.importing import import_target
from graftwork.data.labelled.label_set import Entry, TrainingSet
from graftwork.data.labelled.settings import LabelledConfig
from graftwork.data.labelled.source import FilePicture

_TEST = {"test", "val", "valid", "validation"}
_TRAIN = {"", "train", "training"}


@config
class LabelFileConfig(LabelledConfig):
    """Settings of the table of labels."""

    path: str
    """A .csv or .parquet file with a row for each image."""

    images: str | None = None
    """The folder that the images' paths begin in; absent for that of the table."""

    image_column: str = "image"
    """The column with the images' paths."""

    label_column: str = "label"
    """The column with their classes."""

    part_column: str | None = None
    """The column that says "train" or "test" (or "val"); absent to hold out a share of each
    class, as also where no row says "test"."""


class LabelFile(TrainingSet):
    """Images with the labels of a table; rows without a file or a label are bad.

    Raises:
        GraftworkError: the table cannot be read, lacks a column, or has bad rows that are not to
            be passed over.
    """

    def __init__(self, settings: LabelFileConfig) -> None:
        path = Path(settings.path).expanduser()
        folder = path.parent if settings.images is None else Path(settings.images).expanduser()
        good: list[tuple[Entry, bool]] = []
        bad: list[tuple[str, Path]] = []
        for number, row in enumerate(_rows(path, settings), start=1):
            said = _defect(row, folder)
            image, label, part = row
            if said:
                bad.append((f"{path}: row {number}: {said}", folder / image if image else path))
            else:
                entry = Entry(name=image, source=FilePicture(folder / image), label=label)
                good.append((entry, part.lower() in _TEST))
        _refuse(bad, settings, path, len(good))
        train, test = ([one for one, held in good if held == which] for which in (False, True))
        classes = sorted({entry.label for entry, _ in good})
        super().__init__(train, classes, settings, test=test or None)
        self.skipped = tuple(place for _, place in bad)


def _defect(row: Sequence[str], folder: Path) -> str:
    image, label, part = row
    if not image:
        return "names no image"
    if not label:
        return f"'{image}' has no label"
    if part.lower() not in _TEST | _TRAIN:
        return f"'{image}' is in '{part}', which is neither train nor test"
    return "" if (folder / image).is_file() else f"{folder / image}: no such file"


def _refuse(
    bad: Sequence[tuple[str, Path]], settings: LabelFileConfig, path: Path, good: int
) -> None:
    if bad and not settings.skip_bad:
        more = f" ({len(bad)} rows are bad)" if len(bad) > 1 else ""
        raise GraftworkError(f"{bad[0][0]}{more}; mend it, or set data.skip_bad")
    if not good:
        raise GraftworkError(f"{path}: has no row that can be used; give it images and labels")


def _rows(path: Path, settings: LabelFileConfig) -> Iterator[Sequence[str]]:
    """Image, label and part of every row."""
    columns = [settings.image_column, settings.label_column]
    columns += [settings.part_column] if settings.part_column else []
    for row in _table(path, columns):
        yield [*(_text(row.get(column)) for column in columns), *([""] * (3 - len(columns)))]


def _table(path: Path, columns: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    try:
        names, rows = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        reason = " ".join(str(error).split())
        raise GraftworkError(f"{path}: cannot be read ({reason}); give a table") from error
    for column in columns:
        if column not in names:
            raise GraftworkError(
                f"{path}: has no column '{column}' (it has {', '.join(names)}); see data.image_"
                "column and the like"
            )
    return rows


def _csv(path: Path) -> tuple[Sequence[str], Sequence[Mapping[str, Any]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        return list(reader.fieldnames or ()), rows


def _parquet(path: Path) -> tuple[Sequence[str], Sequence[Mapping[str, Any]]]:
    read = import_target(
        "pyarrow.parquet:read_table", place=str(path), install="graftwork-data[parquet]"
    )
    table = read(path)
    return table.column_names, table.to_pylist()


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
