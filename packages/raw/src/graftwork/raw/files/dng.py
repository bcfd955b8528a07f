"""DNG files, as cameras and phones write them, where rawpy is installed."""

from pathlib import Path
from typing import Any

import numpy as np

from graftwork.core.errors import GraftworkError
from graftwork.core.importing import import_target
from graftwork.raw.cfa import PATTERNS, plane_offsets
from graftwork.raw.sensor import Sensor

_INSTALL = "graftwork-raw[dng]"


def dng_pixels(path: Path) -> np.ndarray[Any, Any]:
    """The visible part of the mosaic, as the sensor gave it."""
    with _opened(path) as file:
        return np.array(file.raw_image_visible)


def dng_size(path: Path) -> tuple[int, int]:
    """Rows and columns of the visible part."""
    with _opened(path) as file:
        return file.sizes.height, file.sizes.width


def dng_sensor(path: Path) -> Sensor:
    """Pattern and levels as a DNG states them; its noise is not calibrated.

    Raises:
        GraftworkError: rawpy is missing, or the file is no Bayer raw.
    """
    with _opened(path) as file:
        cell = file.raw_colors_visible[:2, :2]
        colours = "".join(chr(file.color_desc[index]) for index in cell.flatten())
        pattern = next((each for each in PATTERNS if each == colours), None)
        if pattern is None:
            raise GraftworkError(
                f"{path}: its colours {colours} are no Bayer pattern; only "
                f"{', '.join(PATTERNS)} are supported"
            )
        levels = file.black_level_per_channel
        red, first, blue, second = (float(levels[cell[at]]) for at in plane_offsets(pattern))
        white = float(file.white_level)
    return Sensor(
        name=path.stem,
        pattern=pattern,
        black_level=(red, first, blue, second),
        white_level=white,
        bit_depth=max(9, int(white).bit_length()),
    )


def _opened(path: Path) -> Any:
    rawpy = import_target("rawpy:imread", place=str(path), install=_INSTALL)
    if not path.exists():  # rawpy's own error names no reason
        raise FileNotFoundError(path)
    return rawpy(str(path))
