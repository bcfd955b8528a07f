"""One raw frame in a file: 16-bit TIFF or PNG, or DNG.

Whatever cannot be a raw frame of the sensor is refused by name: a denoiser would turn it into
plausible nonsense without a word.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError, one_line
from graftwork.raw.files.dng import dng_pixels, dng_size
from graftwork.raw.files.png import png_pixels, png_size
from graftwork.raw.files.tiff import tiff_pixels, tiff_size
from graftwork.raw.mosaic import check_even
from graftwork.raw.sensor import Sensor

SUFFIXES = (".dng", ".png", ".tif", ".tiff")
"""What a raw frame's file may end in, in lower case."""

_PIXELS = {".dng": dng_pixels, ".png": png_pixels, ".tif": tiff_pixels, ".tiff": tiff_pixels}
_SIZES = {".dng": dng_size, ".png": png_size, ".tif": tiff_size, ".tiff": tiff_size}


def read_mosaic(path: Path, sensor: Sensor) -> Float[Tensor, "height width"]:
    """The mosaic of a file in DN, as float32, which holds 16 bits exactly.

    Raises:
        GraftworkError: the file is missing, damaged, of another kind, has 8 bits or three
            channels, an odd size, or values that the sensor cannot give.
    """
    pixels: np.ndarray[Any, Any] = _guarded(_PIXELS, path)
    _check_kind(pixels, path)
    check_even(*pixels.shape, place=str(path))
    _check_range(pixels, path, sensor)
    return torch.from_numpy(pixels.astype(np.float32))


def read_size(path: Path) -> tuple[int, int]:
    """Rows and columns of a file's mosaic, from its header.

    Raises:
        GraftworkError: the file is missing, damaged or of another kind.
    """
    size: tuple[int, int] = _guarded(_SIZES, path)
    return size


def _guarded(readers: dict[str, Any], path: Path) -> Any:
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise GraftworkError(
            f"{path}: is no raw frame; give 16-bit TIFF or PNG, or DNG ({', '.join(SUFFIXES)})"
        )
    try:
        return reader(path)
    except GraftworkError:
        raise
    except FileNotFoundError as error:
        raise GraftworkError(f"{path}: no such file; restore it") from error
    except PermissionError as error:
        raise GraftworkError(f"{path}: may not be read; change its permissions") from error
    # Decoders answer damage with OSError, ValueError, struct.error and more.
    except Exception as error:
        raise GraftworkError(
            f"{path}: damaged or cut short ({one_line(error)}); replace the file"
        ) from error


def _check_kind(pixels: np.ndarray[Any, Any], path: Path) -> None:
    if pixels.ndim == 3 and pixels.shape[-1] in (3, 4):
        raise GraftworkError(
            f"{path}: has {pixels.shape[-1]} channels, a finished picture such as sRGB; give the "
            "raw mosaic, which has one, or read it as an ordinary picture and unprocess it"
        )
    if pixels.ndim != 2:
        raise GraftworkError(
            f"{path}: has the shape {pixels.shape}; a raw frame is one image of rows and columns"
        )
    if pixels.dtype != np.uint16:
        bits = 8 * pixels.dtype.itemsize
        raise GraftworkError(
            f"{path}: has {bits}-bit {_kind(pixels)} pixels; raw frames hold 16-bit whole numbers: "
            "export the sensor's own values"
        )


def _kind(pixels: np.ndarray[Any, Any]) -> str:
    kinds = {"u": "whole-number", "i": "signed", "f": "floating-point", "b": "black-and-white"}
    return kinds.get(pixels.dtype.kind, str(pixels.dtype))


def _check_range(pixels: np.ndarray[Any, Any], path: Path, sensor: Sensor) -> None:
    brightest = int(pixels.max())
    if brightest > sensor.largest:
        raise GraftworkError(
            f"{path}: holds {brightest} DN, and sensor {sensor.name} has {sensor.bit_depth} bits "
            f"(at most {sensor.largest}); name the right sensor, or undo the scaling to 16 bits"
        )
    # Noise takes single pixels below black, but never the mean of a frame.
    floor = min(sensor.black) - 0.01 * (sensor.white_level - min(sensor.black))
    mean = float(pixels.mean())
    if mean < floor:
        raise GraftworkError(
            f"{path}: its mean of {mean:.0f} DN is below the black level {min(sensor.black):g} of "
            f"sensor {sensor.name}; was black subtracted already, or is it another sensor?"
        )
