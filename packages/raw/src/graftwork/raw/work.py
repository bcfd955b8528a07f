"""Denoised frames in a folder, and how far an interrupted call had come."""

from dataclasses import dataclass
from pathlib import Path

from graftwork.core import atomic
from graftwork.core.errors import GraftworkError
from graftwork.raw.files.folder_clip import FileClip
from graftwork.raw.sensor_file import write_sensor

_MARK = "unfinished.txt"


@dataclass(frozen=True)
class Work:
    """One clip to denoise into one folder."""

    clip: FileClip
    out: Path
    count: int
    """How many frames, from the first on."""
    identity: str
    """What decides the result; only a call of the same goes on with what is there."""

    def frame(self, index: int) -> Path:
        """Where the denoised frame at `index` lies: TIFF, under the name that it has."""
        return self.out / f"{self.clip.paths[index].stem}.tiff"

    def begin(self) -> int:
        """Make the folder, or take up what an interrupted call left; how many frames are done.

        Raises:
            GraftworkError: the folder is in use for something else.
        """
        mark = self.out / _MARK
        if mark.is_file():
            if mark.read_text(encoding="utf-8") != self.identity:
                raise GraftworkError(
                    f"{self.out}: holds the unfinished work of another call; repeat that one, or "
                    "choose another --out"
                )
            done = (self.frame(index).is_file() for index in range(self.count))
            return next((index for index, there in enumerate(done) if not there), self.count)
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise GraftworkError(f"{self.out}: exists already; choose another --out")
        atomic.write_text(mark, self.identity)
        write_sensor(self.out / "sensor.toml", self.clip.sensor)
        return 0

    def end(self) -> None:
        """Say that all is done."""
        (self.out / _MARK).unlink()
