"""A clip of raw frames that is read one frame at a time."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.raw.content import Content
from graftwork.raw.mosaic import check_even
from graftwork.raw.sensor import Sensor


class RawClip(ABC):
    """Frames of one sensor at one ISO, all of one size.

    A subclass says what the frames hold (`content`) and gives them one by one (`frame`); nothing
    else reads them, so a clip needs the memory of one frame, however long it is.
    """

    def __init__(
        self,
        *,
        name: str,
        sensor: Sensor,
        content: Content,
        iso: int | None,
        length: int,
        size: tuple[int, int],
    ) -> None:
        check_even(*size, place=name)
        self.name = name
        """What errors call it: a folder, a scene."""
        self.sensor = sensor
        self.content = content
        self.iso = iso
        """None where nobody noted it."""
        self.size = size
        """Rows and columns of the mosaic."""
        self._length = length

    @abstractmethod
    def frame(self, index: int) -> Float[Tensor, "height width"]:
        """The mosaic at `index`, counted from 0, in DN as float32.

        Raises:
            GraftworkError: the clip is shorter, or the frame cannot be read.
        """

    def frames(self, first: int, count: int) -> Float[Tensor, "time height width"]:
        """`count` frames from `first` on, all in memory.

        Raises:
            GraftworkError: the clip is shorter, or a frame cannot be read.
        """
        self.check_range(first, count)
        return torch.stack([self.frame(index) for index in range(first, first + count)])

    def check_range(self, first: int, count: int) -> None:
        """Refuse frames that the clip does not have.

        Raises:
            GraftworkError: it is shorter than asked, or nothing is asked.
        """
        if first < 0 or count < 1:
            raise GraftworkError(f"{self.name}: {count} frames from {first} on; ask for at least 1")
        if first + count > len(self):
            raise GraftworkError(
                f"{self.name}: has {len(self)} frames, and {first + count} are asked for; "
                "ask for fewer, or use a longer clip"
            )

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Tensor]:
        return (self.frame(index) for index in range(len(self)))


@final
class MemoryClip(RawClip):
    """Frames that are in memory already."""

    def __init__(
        self,
        mosaics: Float[Tensor, "time height width"],
        sensor: Sensor,
        *,
        content: Content,
        iso: int | None = None,
        name: str = "clip",
    ) -> None:
        length, height, width = mosaics.shape
        super().__init__(
            name=name,
            sensor=sensor,
            content=content,
            iso=iso,
            length=length,
            size=(height, width),
        )
        self._mosaics = mosaics

    @classmethod
    def of(cls, clip: RawClip) -> "MemoryClip":
        """All frames of another clip, read once."""
        return cls(
            clip.frames(0, len(clip)),
            clip.sensor,
            content=clip.content,
            iso=clip.iso,
            name=clip.name,
        )

    def frame(self, index: int) -> Float[Tensor, "height width"]:
        """The mosaic at `index` in DN."""
        self.check_range(index, 1)
        return self._mosaics[index]
