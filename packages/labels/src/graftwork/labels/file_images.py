"""Images on disk that somebody names, of no known class."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from graftwork.labels.images import Images, LabelledImages


class FileImages(Images):
    """Some files, read as a set of labelled images reads its own."""

    def __init__(self, paths: Sequence[Path], like: LabelledImages) -> None:
        self.paths, self.like = tuple(paths), like

    def __len__(self) -> int:
        return len(self.paths)

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        """File `index`."""
        return self.like.read(self.paths[index])

    def name(self, index: int) -> str:
        """Its path."""
        return str(self.paths[index])

    def picture_hash(self) -> str:
        """Of the pixels: files change, and these are few."""
        digest = hashlib.sha256()
        for index in range(len(self)):
            image = self.image(index)
            digest.update(f"{tuple(image.shape)}".encode() + image.numpy().tobytes())
        return digest.hexdigest()
