"""Ordinary films: pictures in a folder, or a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.data.raw.photographs import load_srgb
from graftwork.video.reading.film import Film

FILMS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mts", ".m2ts", ".mpg", ".ts"})
"""Endings of film files."""

_BLOCK = 8
"""Frames of a film that are decoded together, for to decode one alone begins at a keyframe."""


class Footage(Protocol):
    """Pictures in order, of one size."""

    name: str
    paths: Sequence[Path]
    """The files that hold them."""
    size: tuple[int, int]
    """Rows and columns."""

    def __len__(self) -> int: ...

    def picture(self, index: int) -> Float[Tensor, "3 height width"]:
        """The picture at `index` in sRGB, [0, 1]. Raises `GraftworkError` where it is damaged."""


@final
class Pictures:
    """Files (PNG, JPEG, ...) of one picture each."""

    def __init__(self, paths: Sequence[Path], *, name: str) -> None:
        """Look at the first picture for the size.

        Raises:
            GraftworkError: there is no picture, or the first cannot be read.
        """
        if not paths:
            raise GraftworkError(f"{name}: holds no picture; give at least one")
        self.name = name
        self.paths: Sequence[Path] = tuple(paths)
        _, height, width = load_srgb(paths[0]).shape
        self.size = height, width

    def __len__(self) -> int:
        return len(self.paths)

    def picture(self, index: int) -> Float[Tensor, "3 height width"]:
        """One file, which must have the size of the first."""
        path = self.paths[index]
        found = load_srgb(path)
        (height, width), (rows, columns) = self.size, found.shape[1:]
        if (rows, columns) != (height, width):
            raise GraftworkError(
                f"{path}: is {rows}x{columns}, and the first picture is {height}x{width}; all of a "
                "clip must have one size"
            )
        return found


@final
class FilmFile:
    """A film that PyAV decodes."""

    def __init__(self, path: Path) -> None:
        """Look at its packets.

        Raises:
            GraftworkError: it is no film, cut short or holds no picture.
        """
        self.name = str(path)
        self.paths: Sequence[Path] = (path,)
        self._film = Film(path)
        self.size = self._film.size
        self._start, self._block = -1, torch.empty(0)

    def __len__(self) -> int:
        return self._film.info.count

    def picture(self, index: int) -> Float[Tensor, "3 height width"]:
        """One frame; those around it are decoded with it."""
        start = index // _BLOCK * _BLOCK
        if start != self._start:
            indices = range(start, min(start + _BLOCK, len(self)))
            frames = np.empty((len(indices), 3, *self.size), dtype=np.uint8)
            self._film.read(indices, frames)
            self._start, self._block = start, torch.from_numpy(frames)
        return self._block[index - start].float() / 255
