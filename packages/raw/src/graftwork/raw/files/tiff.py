"""TIFF frames of one page."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from graftwork.core.errors import GraftworkError


def tiff_pixels(path: Path) -> np.ndarray[Any, Any]:
    """The pixels of a file of one page.

    Raises:
        GraftworkError: the file has several pages, is cut short, or compressed in a rare way.
    """
    with tifffile.TiffFile(path) as file:
        page = _only_page(file, path)
        _check_complete(page, path)
        try:
            pixels: np.ndarray[Any, Any] = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            raise GraftworkError(
                f"{path}: is compressed in a way that needs more; run: pip install imagecodecs"
            ) from error
        return pixels


def tiff_size(path: Path) -> tuple[int, int]:
    """Rows and columns, from the header."""
    with tifffile.TiffFile(path) as file:
        page = _only_page(file, path)
        return page.imagelength, page.imagewidth


def tiff_bytes(pixels: np.ndarray[Any, Any]) -> bytes:
    """The file of those pixels, uncompressed; equal pixels are equal files."""
    data = io.BytesIO()
    tifffile.imwrite(data, pixels, photometric="minisblack", metadata=None)
    return data.getvalue()


def _only_page(file: Any, path: Path) -> Any:
    if len(file.pages) != 1:
        raise GraftworkError(
            f"{path}: holds {len(file.pages)} pages; a clip is a folder with one file a frame: "
            "split it"
        )
    return file.pages[0]


def _check_complete(page: Any, path: Path) -> None:
    # Without this check, an end cut off reads as an unspecific error, or as zeros.
    parts = zip(page.dataoffsets, page.databytecounts, strict=True)
    needed = max(offset + count for offset, count in parts)
    if needed > path.stat().st_size:
        raise GraftworkError(
            f"{path}: is cut short: {path.stat().st_size} of {needed} bytes; copy it again"
        )
