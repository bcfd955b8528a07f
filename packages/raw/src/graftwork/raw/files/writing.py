"""Raw frames written as raw: 16-bit TIFF with the levels that were read."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from graftwork.core import atomic
from graftwork.core.errors import GraftworkError
from graftwork.raw.files.tiff import tiff_bytes
from graftwork.raw.levels import Rounding, quantise
from graftwork.raw.sensor import Sensor
from graftwork.raw.sensor_file import write_sensor


def write_mosaic(
    path: str | os.PathLike[str],
    mosaic: Float[Tensor, "height width"],
    sensor: Sensor,
    *,
    rounding: Rounding = "nearest",
) -> None:
    """Write a mosaic in DN as 16-bit TIFF, atomically; values are clipped to 0 and white.

    Raises:
        GraftworkError: it cannot be written, or holds values that are no numbers.
    """
    if not mosaic.isfinite().all():
        raise GraftworkError(
            f"{path}: the frame holds values that are no finite numbers; look for a network "
            "gone astray"
        )
    whole = quantise(mosaic, sensor, rounding=rounding).cpu().numpy().astype(np.uint16)
    atomic.write_bytes(path, tiff_bytes(whole))


def write_clip(
    folder: Path,
    mosaics: Iterable[Float[Tensor, "height width"]],
    sensor: Sensor,
    *,
    first: int = 1,
    rounding: Rounding = "nearest",
) -> tuple[Path, ...]:
    """Write frames as they come: frame000001.tiff and on, and sensor.toml beside them.

    A frame is there whole or not at all, and memory holds one.

    Raises:
        GraftworkError: a frame cannot be written.
    """
    write_sensor(folder / "sensor.toml", sensor)
    written = []
    for number, mosaic in enumerate(mosaics, start=first):
        path = folder / frame_name(number)
        write_mosaic(path, mosaic, sensor, rounding=rounding)
        written.append(path)
    return tuple(written)


def frame_name(number: int) -> str:
    """What `write_clip` calls the frame of that number."""
    return f"frame{number:06d}.tiff"
