"""Instructions about videos and images in the JSON of LLaVA and Valley."""

from pathlib import Path

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.data.video.conversations import read_record
from graftwork.data.video.file_records import FileRecords
from graftwork.data.video.json_records import JsonRecords
from graftwork.nn.trigger import has_trigger
from graftwork.video.record import Record


@config
class VideoInstructConfig:
    """Settings of instructions in a file."""

    path: str
    """A .json file with a list of records, or a .jsonl file with one on each line."""

    media: str | None = None
    """The folder that names of clips are relative to; absent for the file's own."""

    test_path: str | None = None
    """A file of the same form with the records to judge on; absent for those of training."""

    trigger: str | None = None
    """The rare word in the questions that stands for what is learned."""

    skip_unreadable: bool = False
    """Whether records whose clips are missing or cannot be decoded are passed over, and counted;
    otherwise the first of them ends the run."""


class VideoInstruct(FileRecords):
    """Records of videos, images and frame folders; several turns each."""

    def __init__(self, settings: VideoInstructConfig) -> None:
        path = Path(settings.path)
        super().__init__(path, tolerant=settings.skip_unreadable)
        self.settings = settings
        self.trigger = settings.trigger
        self._media = Path(settings.media) if settings.media else path.parent
        self._records = JsonRecords(path)
        self.places = list(range(len(self._records)))

    def read(self, place: int) -> Record:
        """Record `place` of the file."""
        given = self._records[place]
        name = self.name(place) + (f" ({given['id']})" if "id" in given else "")
        return read_record(given, name, self._media)

    def check(self) -> None:
        """Read every record, look for its clips, and for the trigger.

        Raises:
            GraftworkError: of the first defect; or no question has the trigger.
        """
        super().check()
        if self.trigger is None:
            return
        questions = (turn.question for place in self.places for turn in self.read(place).turns)
        if not any(has_trigger(question, self.trigger) for question in questions):
            raise GraftworkError(
                f"data.trigger: no question in {self.path} has the word '{self.trigger}'; write "
                "it there, or leave the trigger out"
            )

    def held_out(self) -> "VideoInstruct | None":
        """The records of `test_path`."""
        own = self.settings
        if own.test_path is None:
            return None
        test = VideoInstruct(
            VideoInstructConfig(
                path=own.test_path, media=own.media, skip_unreadable=own.skip_unreadable
            )
        )
        test.check()
        return test
