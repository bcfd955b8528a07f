"""Where a picture comes from."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from graftwork.core.errors import GraftworkError, one_line
from graftwork.data.images import load_image
from graftwork.video.reading.colours import to_rgb

Picture = UInt8[Tensor, "3 height width"]


class Source(ABC):
    """A picture that is not read yet."""

    @abstractmethod
    def read(self) -> Picture:
        """The picture in sRGB.

        Raises:
            GraftworkError: it cannot be read.
        """

    @abstractmethod
    def digest(self) -> bytes:
        """Hash of its contents; of a file that cannot be read, of its name."""


@dataclass(frozen=True)
class FilePicture(Source):
    """A picture in a file."""

    path: Path

    def read(self) -> Picture:
        """Decoded now."""
        return pixels(load_image(self.path))

    def digest(self) -> bytes:
        """Of the file's bytes."""
        try:
            found = self.path.stat()
            return _file_digest(self.path, found.st_size, found.st_mtime_ns)
        except OSError:
            return hashlib.sha256(str(self.path).encode()).digest()


@dataclass(frozen=True, eq=False)
class MemoryPicture(Source):
    """A picture in memory."""

    picture: Picture

    def read(self) -> Picture:
        """As it is."""
        return self.picture

    def digest(self) -> bytes:
        """Of its pixels."""
        return _digest(self.picture)


@dataclass(frozen=True, eq=False)
class ArchivedPicture(Source):
    """A picture in a data set of torchvision."""

    archive: Any
    place: int

    def read(self) -> Picture:
        """Decoded by torchvision."""
        try:
            image = self.archive[self.place][0]
        except Exception as error:  # whatever its decoder answers damage with
            raise GraftworkError(
                f"{type(self.archive).__name__} {self.place}: cannot be read ({one_line(error)}); "
                "restore the data set"
            ) from error
        return pixels(to_rgb(image))

    def digest(self) -> bytes:
        """Of its pixels."""
        try:
            return _digest(self.read())
        except GraftworkError as error:
            return hashlib.sha256(str(error).encode()).digest()


def pixels(image: Image.Image) -> Picture:
    """The bytes of a picture in RGB, colour by colour."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


@lru_cache(maxsize=2**20)
def _file_digest(path: Path, size: int, changed: int) -> bytes:
    """Of a file's bytes; once in a process, for trials of a search read the same files."""
    return hashlib.sha256(path.read_bytes()).digest()


def _digest(picture: Picture) -> bytes:
    shape = f"{tuple(picture.shape)}".encode()
    return hashlib.sha256(shape + picture.contiguous().numpy().tobytes()).digest()
