"""The test files of public benchmarks, as they come."""

import csv
from pathlib import Path

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.data.video.benchmark_rows import Format, Row, read_row
from graftwork.data.video.file_records import FileRecords
from graftwork.data.video.json_records import JsonRecords
from graftwork.video.record import Record


@config
class VideoQuestionsConfig:
    """Settings of a benchmark's file."""

    path: str
    """The file with the questions: .json, .jsonl or .csv."""

    format: Format
    """Whose file it is."""

    media: str
    """The folder with the clips."""

    media_suffix: str = ".mp4"
    """What the names of clips end in where the file leaves it away; .avi for MSVD."""

    skip_unreadable: bool = False
    """Whether questions whose clips are missing or cannot be decoded are passed over, and
    counted; otherwise the first of them ends the run."""


class VideoQuestions(FileRecords):
    """MSVD-QA and MSRVTT-QA (open), Video-MME, MVBench and NExT-QA (with options)."""

    def __init__(self, settings: VideoQuestionsConfig) -> None:
        path = Path(settings.path)
        super().__init__(path, tolerant=settings.skip_unreadable)
        self.settings = settings
        self._rows = _csv_rows(path) if path.suffix.lower() == ".csv" else JsonRecords(path)
        self.places = list(range(len(self._rows)))

    def read(self, place: int) -> Record:
        """Row `place` of the file."""
        own = self.settings
        name = self.name(place)
        return read_row(self._rows[place], own.format, name, Path(own.media), own.media_suffix)


def _csv_rows(path: Path) -> list[Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows: list[Row] = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise GraftworkError(f"{path}: no such file; check data.path") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GraftworkError(f"{path}: cannot be read as CSV ({error}); mend it") from error
    if not rows:
        raise GraftworkError(f"{path}: holds no question; give a file with at least one")
    return rows
