"""The contracts of images, and of images whose class is known."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from graftwork.nn.dataset import Dataset

TASK = "classification"


class Images(ABC):
    """Pictures of any size, read when they are asked for."""

    tolerant: bool = False
    """Whether pictures that cannot be read are passed over, rather than end the run."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        """Picture `index` in sRGB.

        Raises:
            GraftworkError: it cannot be read; the error names its file.
        """

    @abstractmethod
    def name(self, index: int) -> str:
        """What errors and reports call picture `index`: its file, or its place in an archive."""

    @abstractmethod
    def picture_hash(self) -> str:
        """Hexadecimal hash of all pictures in their order, whatever their labels say."""


class LabelledImages(Images, Dataset):
    """Pictures, each of one class."""

    task: ClassVar[str] = TASK
    classes: Sequence[str]
    """The names of the classes; a label is a place in it."""

    @abstractmethod
    def label(self, index: int) -> int:
        """The class of picture `index` as it is trained with, noise included."""

    @abstractmethod
    def read(self, path: Path) -> UInt8[Tensor, "3 height width"]:
        """A picture from disk, as this set reads its own.

        Raises:
            GraftworkError: it cannot be read.
        """

    def labels(self) -> Int[Tensor, "examples"]:
        """All labels in order."""
        return torch.tensor([self.label(index) for index in range(len(self))], dtype=torch.long)

    def changed(self) -> Mapping[int, int]:
        """The labels before noise was put in, of those pictures where they were others."""
        return {}

    def held_out(self) -> "LabelledImages | None":
        """The pictures that adapters are judged on; None to judge on those of training."""
        return None

    def domains(self) -> Mapping[str, "LabelledImages"]:
        """Pictures of the same classes from elsewhere, such as sketches, by the domain's name."""
        return {}
