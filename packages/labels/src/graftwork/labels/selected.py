"""Some pictures of a set of labelled images."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from graftwork.labels.images import LabelledImages


class SelectedImages(LabelledImages):
    """The pictures of another set that are named by their places there."""

    def __init__(self, whole: LabelledImages, places: Sequence[int]) -> None:
        self.whole, self.places = whole, tuple(places)
        self.classes, self.tolerant = whole.classes, whole.tolerant

    @classmethod
    def spread(cls, whole: LabelledImages, count: int) -> "SelectedImages":
        """`count` pictures, evenly over the set, which may be sorted by class."""
        return cls(whole, [index * len(whole) // count for index in range(count)])

    def __len__(self) -> int:
        return len(self.places)

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        """Picture `index` of those selected."""
        return self.whole.image(self.places[index])

    def label(self, index: int) -> int:
        """Its class."""
        return self.whole.label(self.places[index])

    def name(self, index: int) -> str:
        """Its name."""
        return self.whole.name(self.places[index])

    def read(self, path: Path) -> UInt8[Tensor, "3 height width"]:
        """As the other set reads it."""
        return self.whole.read(path)

    def check(self) -> None:
        """That of the other set."""
        self.whole.check()

    def hash(self) -> str:
        """Of the other set, and of the places."""
        return self._hashed(self.whole.hash())

    def picture_hash(self) -> str:
        """Of the other set's pictures, and of the places."""
        return self._hashed(self.whole.picture_hash())

    def _hashed(self, whole: str) -> str:
        return hashlib.sha256(f"{whole} {self.places}".encode()).hexdigest()
