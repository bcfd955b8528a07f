"""A clip whose frames lie in files."""

from collections.abc import Sequence
from pathlib import Path
from typing import final

from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.raw.clip import RawClip
from graftwork.raw.content import Content
from graftwork.raw.files.frame_file import read_mosaic, read_size
from graftwork.raw.files.pattern_check import check_pattern
from graftwork.raw.files.sequence import find_frames
from graftwork.raw.sensor import Sensor


@final
class FileClip(RawClip):
    """Frames in files, in the order given; one is read when it is asked for."""

    def __init__(
        self,
        paths: Sequence[Path],
        sensor: Sensor,
        *,
        content: Content,
        iso: int | None = None,
        name: str,
    ) -> None:
        """Look at all headers, and at the first frame.

        Raises:
            GraftworkError: no file, files of different sizes, or a first frame that cannot be one
                of the sensor.
        """
        if not paths:
            raise GraftworkError(f"{name}: holds no frames; give at least one")
        first = read_mosaic(paths[0], sensor)
        check_pattern(first, sensor, place=str(paths[0]))
        size = (first.shape[0], first.shape[1])
        super().__init__(
            name=name, sensor=sensor, content=content, iso=iso, length=len(paths), size=size
        )
        self.paths = tuple(paths)
        for path in paths[1:]:
            self._check_size(path, read_size(path))

    def frame(self, index: int) -> Float[Tensor, "height width"]:
        """The mosaic at `index` in DN."""
        self.check_range(index, 1)
        mosaic = read_mosaic(self.paths[index], self.sensor)
        self._check_size(self.paths[index], (mosaic.shape[0], mosaic.shape[1]))
        return mosaic

    def _check_size(self, path: Path, size: tuple[int, int]) -> None:
        if size != self.size:
            raise GraftworkError(
                f"{path}: is {size[0]}x{size[1]}, and {self.paths[0].name} is "
                f"{self.size[0]}x{self.size[1]}; all frames of a clip must have one size"
            )


def open_folder(
    folder: Path, sensor: Sensor, *, content: Content, iso: int | None = None
) -> FileClip:
    """The clip in a folder of numbered frames.

    Raises:
        GraftworkError: the folder, its numbering or a frame is at fault.
    """
    return FileClip(find_frames(folder), sensor, content=content, iso=iso, name=str(folder))
