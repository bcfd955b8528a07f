"""What sets of records in a file do alike: check every record, and look for its clips."""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

from graftwork.core.errors import GraftworkError
from graftwork.video.file_source import FileSource
from graftwork.video.instructions import VideoInstructions
from graftwork.video.record import Record

_LISTED = 5


class FileRecords(VideoInstructions):
    """Records that are read from a file each time they are asked for.

    Args:
        path: the file.
        tolerant: whether records without their clips are passed over.
    """

    places: list[int]
    """The places in the file of the records that are used."""

    def __init__(self, path: Path, *, tolerant: bool) -> None:
        self.path, self.tolerant = path, tolerant

    def __len__(self) -> int:
        return len(self.places)

    @abstractmethod
    def read(self, place: int) -> Record:
        """The record at a place in the file.

        Raises:
            GraftworkError: it is malformed.
        """

    def name(self, place: int) -> str:
        """What errors call the record at a place."""
        return f"{self.path}: record {place + 1}"

    def record(self, index: int) -> Record:
        """Record `index` of those that are used."""
        return self.read(self.places[index])

    def check(self) -> None:
        """Read every record and look for its clips.

        Raises:
            GraftworkError: of the first defect, with where the others are; or nothing is left.
        """
        defects, missing = [], {}
        for place in self.places:
            try:
                gone = next(_gone(self.read(place)), None)
            except GraftworkError as error:
                defects.append((place, error))
            else:
                if gone is not None:
                    missing[place] = gone
        if defects:
            raise GraftworkError(_first_of(defects))
        if missing and not self.tolerant:
            place, path = next(iter(missing.items()))
            more = f" ({len(missing)} records lack theirs)" if len(missing) > 1 else ""
            raise GraftworkError(
                f"{self.name(place)}: {path}: no such clip{more}; check data.media, or set "
                "data.skip_unreadable"
            )
        self.skipped = (*self.skipped, *missing.values())
        self.places = [place for place in self.places if place not in missing]
        if not self.places:
            raise GraftworkError(f"{self.path}: no record has its clips; check data.media")

    def hash(self) -> str:
        """Hash of the file, of which records are used, and of the names and sizes of clips."""
        with self.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256")
        for place in self.places:
            for clip in self.read(place).clips:
                assert isinstance(clip, FileSource)
                size = clip.path.stat().st_size if clip.path.exists() else 0
                found.update(f"{place} {clip.path.name} {size}\n".encode())
        return found.hexdigest()[:16]


def _gone(record: Record) -> Iterator[Path]:
    for clip in record.clips:
        assert isinstance(clip, FileSource)
        if not clip.path.exists():
            yield clip.path


def _first_of(defects: list[tuple[int, GraftworkError]]) -> str:
    """One line: the first defect, and where the others are."""
    others = [str(place + 1) for place, _ in defects[1:]]
    if not others:
        return str(defects[0][1])
    rest = f" and {len(others) - _LISTED} more" if len(others) > _LISTED else ""
    return f"{defects[0][1]}; also records {', '.join(others[:_LISTED])}{rest}"
