"""Ordinary video as clean raw: each picture of a sequence unprocessed and mosaicked."""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.data.raw.photographs import load_srgb
from graftwork.data.raw.unprocessing import unprocess
from graftwork.raw.cfa import plane_offsets
from graftwork.raw.clip import RawClip
from graftwork.raw.content import Content
from graftwork.raw.levels import denormalise
from graftwork.raw.mosaic import unpack
from graftwork.raw.sensor import Sensor


@final
class UnprocessedClip(RawClip):
    """Pictures (PNG, JPEG, ...) of an ordinary video, in order, as a clean raw clip.

    An odd last row or column is left away. Clean means: as clean as the video was.
    """

    def __init__(
        self, paths: Sequence[Path], sensor: Sensor, *, exposure: float = 1.0, name: str
    ) -> None:
        """Look at the first picture for the size.

        Raises:
            GraftworkError: there is no picture, or the first cannot be read.
        """
        if not paths:
            raise GraftworkError(f"{name}: holds no picture; give at least one")
        _, height, width = load_srgb(paths[0]).shape
        super().__init__(
            name=name,
            sensor=sensor,
            content=Content.CLEAN,
            iso=None,
            length=len(paths),
            size=(height // 2 * 2, width // 2 * 2),
        )
        self.exposure = exposure
        self.paths = tuple(paths)

    def frame(self, index: int) -> Float[Tensor, "height width"]:
        """The clean mosaic at `index` in DN, with fractions."""
        self.check_range(index, 1)
        path = self.paths[index]
        picture = load_srgb(path)
        height, width = self.size
        if tuple(side // 2 * 2 for side in picture.shape[1:]) != self.size:
            raise GraftworkError(
                f"{path}: is {picture.shape[1]}x{picture.shape[2]}, and the first picture is "
                f"{height}x{width}; all of a clip must have one size"
            )
        light = unprocess(picture[:, :height, :width]) * self.exposure
        return mosaic_of(light.clamp(0, 1), self.sensor)


def mosaic_of(
    light: Float[Tensor, "3 height width"], sensor: Sensor
) -> Float[Tensor, "height width"]:
    """The mosaic in DN that a sensor has of linear camera colours in [0, 1]."""
    colours = zip((0, 1, 2, 1), plane_offsets(sensor.pattern), strict=True)
    planes = [light[colour, row::2, column::2] for colour, (row, column) in colours]
    return unpack(denormalise(torch.stack(planes), sensor), sensor.pattern)
