"""Images on disk with captions: what the data sets of this distribution come down to."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from graftwork.core.errors import GraftworkError
from graftwork.data.images import load_image
from graftwork.data.masks import load_mask
from graftwork.nn.text_to_image import CaptionedImages


@dataclass(frozen=True, kw_only=True)
class Example:
    """One image file with its caption."""

    path: Path
    caption: str
    caption_free: str | None = None
    """The caption without the trigger."""
    mask: Path | None = None
    """A grey image of the same size that says how much each place counts."""


class ExampleSet(CaptionedImages):
    """A data set that is a list of examples. Images are decoded when asked for."""

    def __init__(
        self,
        settings: Any,
        examples: Sequence[Example],
        *,
        trigger: str | None,
        skipped: Sequence[Path],
    ) -> None:
        self.settings = settings
        self.examples = tuple(examples)
        self.trigger = trigger
        self.skipped = tuple(skipped)
        """Files of the folder that are of no known kind."""

    def __len__(self) -> int:
        return len(self.examples)

    def image(self, index: int) -> Image.Image:
        """The RGB image number `index`; GraftworkError if its file is damaged."""
        return load_image(self.examples[index].path)

    def caption(self, index: int) -> str:
        """The caption of image `index`, trigger included."""
        return self.examples[index].caption

    def caption_free(self, index: int) -> str | None:
        """The same caption without the trigger; None when the set has no trigger."""
        return self.examples[index].caption_free

    def mask(self, index: int) -> Image.Image | None:
        """The mask of image `index` in grey, if it has one; GraftworkError if it does not fit."""
        example = self.examples[index]
        return None if example.mask is None else load_mask(example.mask, of=example.path)

    def check(self) -> None:
        """Decode every image and mask. Captions were checked when the set was made."""
        for index in range(len(self)):
            self.image(index)
            self.mask(index)

    def hash(self) -> str:
        """SHA-256 over the files' bytes and the captions, in order; names do not matter."""
        digest = hashlib.sha256()
        for example in self.examples:
            digest.update(_digest(example.path))
            if example.mask is not None:
                digest.update(b"mask" + _digest(example.mask))
            digest.update(json.dumps([example.caption, example.caption_free]).encode())
        return digest.hexdigest()


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise GraftworkError(f"{path}: cannot be read ({error.strerror}); restore it") from error
