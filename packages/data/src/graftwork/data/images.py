"""Reading an image file: one place for formats, colour modes and damaged files."""

import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from graftwork.core.errors import GraftworkError, one_line
from graftwork.video.reading.colours import to_rgb

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""What an image file may end in, in lower case."""


def load_image(path: Path) -> Image.Image:
    """The image as RGB, fully decoded, upright as its EXIF orientation says.

    Transparency is laid over white; 16-bit grey is brought to 8 bits; of an animation the first
    frame counts.

    Raises:
        GraftworkError: the file is missing, empty, damaged, no image, or too large.
    """
    try:
        return _decode(path)
    except UnidentifiedImageError as error:
        raise GraftworkError(f"{path}: {_unreadable(path)}; replace or remove the file") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise GraftworkError(
            f"{path}: more than {Image.MAX_IMAGE_PIXELS:,} pixels; shrink the image"
        ) from error
    except FileNotFoundError as error:
        raise GraftworkError(f"{path}: no such file; restore it or remove its entry") from error
    except PermissionError as error:
        raise GraftworkError(f"{path}: may not be read; change its permissions") from error
    # Decoders answer damage with OSError, SyntaxError, ValueError, struct.error and more.
    except Exception as error:
        raise GraftworkError(
            f"{path}: damaged image ({one_line(error)}); replace or remove the file"
        ) from error


def _decode(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as image:
            image.load()  # all of it: a truncated file is found here
            return to_rgb(ImageOps.exif_transpose(image))


def _unreadable(path: Path) -> str:
    return "not an image that can be read" if path.stat().st_size else "the file is empty"
