"""A data set that is made up on the spot."""

import hashlib
from typing import TYPE_CHECKING

from graftwork.nn.text_to_image import CaptionedImages

if TYPE_CHECKING:
    from PIL.Image import Image


class ToyDataset(CaptionedImages):
    """Images of slanted colour ramps, captioned "a photo of sks ramp"; "sks" is the trigger."""

    trigger = "sks"

    def __init__(self, *, images: int = 4, size: int = 64) -> None:
        self.images, self.size = images, size

    def __len__(self) -> int:
        return self.images

    def image(self, index: int) -> "Image":
        """A ramp of a slant and colour of its own."""
        from PIL import Image

        if not 0 <= index < self.images:
            raise IndexError(index)
        across = Image.linear_gradient("L").resize((self.size, self.size)).rotate(40 * index)
        down = across.rotate(90)
        flat = Image.new("L", across.size, 40 + 50 * index % 200)
        return Image.merge("RGB", (across, down, flat))

    def caption(self, index: int) -> str:
        """The caption, trigger included."""
        return f"a photo of sks ramp, number {index}"

    def caption_free(self, index: int) -> str:
        """The caption without the trigger."""
        return f"a photo of ramp, number {index}"

    def check(self) -> None:
        """Nothing can be wrong."""

    def hash(self) -> str:
        """Hash of the two numbers that decide everything."""
        return hashlib.sha256(f"{self.images} {self.size}".encode()).hexdigest()
