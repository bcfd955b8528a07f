"""The contract of a captioned image data set."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from PIL.Image import Image


class Dataset(ABC):
    """Images with captions, read from disk once and checked before the first step.

    A *trigger* is the rare word that stands for what the adapter is to learn
    ("a photo of sks cat"); `caption_free` is the caption with the trigger taken out.
    """

    task: ClassVar[str] = "text-to-image"
    trigger: str | None = None
    skipped: Sequence[Path] = ()
    """Files that were passed over because they are no images."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def image(self, index: int) -> "Image":
        """The RGB image number `index`."""

    @abstractmethod
    def caption(self, index: int) -> str:
        """The caption of image `index`, trigger included."""

    @abstractmethod
    def caption_free(self, index: int) -> str | None:
        """The same caption without the trigger; None when the set has no trigger."""

    def mask(self, index: int) -> "Image | None":
        """A grey image of the size of image `index` that says how much each place counts in the
        loss: 0 not at all, 127 once, 255 five times. None for everywhere once."""
        return None

    @abstractmethod
    def check(self) -> None:
        """Raise `GraftworkError`, naming the file, for anything that cannot be used."""

    @abstractmethod
    def hash(self) -> str:
        """Hexadecimal hash of the contents, the key of everything cached from this set."""

    def captions(self) -> Sequence[str]:
        """All captions in order."""
        return [self.caption(index) for index in range(len(self))]
