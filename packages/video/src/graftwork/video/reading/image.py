"""A picture file as an array."""

import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from graftwork.core.errors import GraftworkError, one_line
from graftwork.video.reading.colours import to_rgb
from graftwork.video.reading.opening import check_file

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""What a picture file may end in, in lower case. A GIF is a film."""

_ORIENTATION = 0x0112
_LYING = (5, 6, 7, 8)


def is_picture(path: Path) -> bool:
    """Whether a file's name says that it is a picture."""
    return path.suffix.lower() in SUFFIXES


def picture_size(path: Path) -> tuple[int, int]:
    """Rows and columns of the upright picture, from its header.

    Raises:
        GraftworkError: the file is missing, empty, damaged or no picture.
    """
    with _Guard(path), Image.open(path) as image:
        lies = image.getexif().get(_ORIENTATION) in _LYING
        return (image.width, image.height) if lies else (image.height, image.width)


def read_picture(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """The picture in RGB, upright as its EXIF orientation says.

    Transparency is laid over white; 16-bit grey is brought to 8 bits; of an animation the first
    frame counts.

    Raises:
        GraftworkError: the file is missing, empty, damaged, no picture, or too large.
    """
    with _Guard(path), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as image:
            image.load()  # all of it: a truncated file is found here
            return np.array(to_rgb(ImageOps.exif_transpose(image)))


class _Guard:
    """Turns what a decoder raises into one line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        check_file(self.path)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Decoders answer damage with OSError, SyntaxError, ValueError, struct.error and more.
        if isinstance(error, Exception) and not isinstance(error, GraftworkError):
            raise GraftworkError(f"{self.path}: {_complaint(error)}") from error


def _complaint(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "may not be read; change its permissions"
    if isinstance(error, UnidentifiedImageError):
        return "is no picture that can be read; replace or remove the file"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels; shrink the picture"
    return f"a damaged picture ({one_line(error)}); replace or remove the file"
