"""Pictures as a clip: those of a folder, or a single one."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from graftwork.core.errors import GraftworkError
from graftwork.video.reading.image import SUFFIXES, is_picture, picture_size, read_picture

_DIGITS = re.compile(r"(\d+)")


@final
class Pictures:
    """A clip whose frames are picture files, so many a second."""

    def __init__(self, paths: Sequence[Path], *, rate: float = 1.0) -> None:
        """Look at the first one's header; there must be one.

        Raises:
            GraftworkError: it cannot be read.
        """
        self.paths = tuple(paths)
        self.times = np.arange(len(self.paths)) / rate
        self.size = picture_size(self.paths[0])

    def read(self, indices: Sequence[int], out: UInt8[np.ndarray, "time 3 height width"]) -> None:
        """Put the pictures at `indices` there.

        Raises:
            GraftworkError: one of them cannot be read, or has another size than the first.
        """
        for place, index in enumerate(indices):
            if place and index == indices[place - 1]:
                out[place] = out[place - 1]
                continue
            picture = read_picture(self.paths[index])
            self._check_size(self.paths[index], picture.shape[:2])
            out[place] = picture.transpose(2, 0, 1)

    def _check_size(self, path: Path, size: tuple[int, ...]) -> None:
        if size != self.size:
            raise GraftworkError(
                f"{path}: is {size[0]}x{size[1]}, and {self.paths[0].name} is "
                f"{self.size[0]}x{self.size[1]}; all frames of a clip must have one size"
            )


def find_pictures(folder: Path) -> tuple[Path, ...]:
    """The pictures that lie directly in a folder, frame2 before frame10.

    Hidden files and files of other kinds are passed over.

    Raises:
        GraftworkError: there is no such folder, it may not be read, or it holds no picture.
    """
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError as error:
        raise GraftworkError(f"{folder}: no such folder; check the path") from error
    except NotADirectoryError as error:
        raise GraftworkError(f"{folder}: is a file; name the folder of the frames") from error
    except OSError as error:
        raise GraftworkError(f"{folder}: cannot be read ({error.strerror}); mend it") from error
    pictures = [path for path in entries if is_picture(path) and path.is_file()]
    if not pictures:
        raise GraftworkError(
            f"{folder}: holds no pictures; put the frames of a clip there ({', '.join(SUFFIXES)})"
        )
    return tuple(sorted(pictures, key=lambda path: natural(path.name)))


def natural(name: str) -> tuple[tuple[str | int, ...], str]:
    """What to sort a name by so that its numbers count as numbers.

    >>> sorted(["frame10.png", "frame9.png", "frame009.png"], key=natural)
    ['frame009.png', 'frame9.png', 'frame10.png']
    """
    # Text and digits take turns, so that like is compared with like.
    parts = _DIGITS.split(name)
    return tuple(int(part) if part.isdecimal() else part for part in parts), name
