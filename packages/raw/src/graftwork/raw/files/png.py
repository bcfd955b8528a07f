"""16-bit grey PNG frames."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N", "I")


def png_pixels(path: Path) -> np.ndarray[Any, Any]:
    """The pixels, uint16 where the file has 16 bits of grey."""
    with Image.open(path) as image:
        pixels = np.array(image)
        # Some Pillow versions give 16 bits of grey as 32.
        return pixels.astype(np.uint16) if image.mode in _SIXTEEN else pixels


def png_size(path: Path) -> tuple[int, int]:
    """Rows and columns, from the header."""
    with Image.open(path) as image:
        return image.height, image.width
