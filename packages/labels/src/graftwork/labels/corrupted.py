"""A set of labelled images in which something has happened to every picture."""

import hashlib
import zlib
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from graftwork.labels.corruptions import Corruption, corrupt
from graftwork.labels.images import LabelledImages


class CorruptedImages(LabelledImages):
    """The pictures of another set after one corruption; each is the same at every call."""

    def __init__(self, whole: LabelledImages, corruption: Corruption, severity: int) -> None:
        self.whole, self.corruption, self.severity = whole, corruption, severity
        self.classes, self.tolerant = whole.classes, whole.tolerant

    def __len__(self) -> int:
        return len(self.whole)

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        """Picture `index`, corrupted; what is drawn follows from the index alone."""
        seed = zlib.crc32(f"{self.corruption}/{self.severity}/{index}".encode())
        return corrupt(
            self.whole.image(index),
            self.corruption,
            self.severity,
            generator=torch.Generator().manual_seed(seed),
        )

    def label(self, index: int) -> int:
        """As it was."""
        return self.whole.label(index)

    def name(self, index: int) -> str:
        """As it was."""
        return self.whole.name(index)

    def read(self, path: Path) -> UInt8[Tensor, "3 height width"]:
        """As the other set reads it, whole."""
        return self.whole.read(path)

    def check(self) -> None:
        """That of the other set."""
        self.whole.check()

    def hash(self) -> str:
        """Of the other set, and of what happened to it."""
        return self._hashed(self.whole.hash())

    def picture_hash(self) -> str:
        """Of the other set's pictures, and of what happened to them."""
        return self._hashed(self.whole.picture_hash())

    def _hashed(self, whole: str) -> str:
        return hashlib.sha256(f"{whole} {self.corruption} {self.severity}".encode()).hexdigest()
