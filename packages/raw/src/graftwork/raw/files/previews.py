"""Pictures and films of raw clips for people, through graftwork-isp-1."""

import io
import os
import secrets
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from graftwork.core import atomic
from graftwork.core.errors import GraftworkError
from graftwork.core.importing import import_target
from graftwork.raw.isp import render
from graftwork.raw.levels import normalise
from graftwork.raw.mosaic import pack
from graftwork.raw.sensor import Sensor

_INSTALL = "graftwork-raw[film]"


def preview(
    mosaic: Float[Tensor, "height width"], sensor: Sensor, *, exposure: float = 1.0
) -> UInt8[Tensor, "height width 3"]:
    """A mosaic in DN as an 8-bit sRGB picture; exposure brightens what is dark."""
    planes = normalise(pack(mosaic, sensor.pattern), sensor, negatives="keep")
    picture = render(planes, sensor.pattern, exposure=exposure)
    return (picture * 255).round().to(torch.uint8).permute(1, 2, 0)


def write_png(
    path: str | os.PathLike[str],
    mosaic: Float[Tensor, "height width"],
    sensor: Sensor,
    *,
    exposure: float = 1.0,
) -> None:
    """Write the preview of a mosaic as PNG, atomically.

    Raises:
        GraftworkError: it cannot be written.
    """
    data = io.BytesIO()
    Image.fromarray(_array(mosaic, sensor, exposure)).save(data, format="png")
    atomic.write_bytes(path, data.getvalue())


def write_mp4(
    path: Path,
    mosaics: Iterable[Float[Tensor, "height width"]],
    sensor: Sensor,
    *,
    frames_per_second: int = 25,
    exposure: float = 1.0,
) -> None:
    """Write the preview of a clip as H.264, one frame in memory at a time; whole or not at all.

    Raises:
        GraftworkError: PyAV is missing, there is no frame, or it cannot be written.
    """
    import_target("av:open", place=str(path), install=_INSTALL)
    frames = iter(mosaics)
    start = next(frames, None)
    if start is None:
        raise GraftworkError(f"{path}: a film of no frames; give at least one")
    pictures = (_array(each, sensor, exposure) for each in chain([start], frames))
    unfinished = path.parent / f".{path.stem}.{secrets.token_hex(4)}.mp4"
    with atomic.told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _encode(unfinished, pictures, frames_per_second)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def _encode(path: Path, pictures: Iterable[np.ndarray[Any, Any]], rate: int) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream: Any = None
        for picture in pictures:
            if stream is None:
                stream = container.add_stream("libx264", rate=rate)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt, stream.options = "yuv420p", {"crf": "16"}
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def _array(mosaic: Tensor, sensor: Sensor, exposure: float) -> np.ndarray[Any, Any]:
    return preview(mosaic.detach().cpu(), sensor, exposure=exposure).numpy()
