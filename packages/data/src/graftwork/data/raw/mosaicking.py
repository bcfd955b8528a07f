"""Ordinary films as clean raw: each picture unprocessed and mosaicked."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.data.raw.footage import Footage
from graftwork.data.raw.unprocessing import unprocess
from graftwork.raw.cfa import plane_offsets
from graftwork.raw.clip import RawClip
from graftwork.raw.content import Content
from graftwork.raw.levels import denormalise
from graftwork.raw.mosaic import unpack
from graftwork.raw.sensor import Sensor


@final
class UnprocessedClip(RawClip):
    """An ordinary film as a clean raw clip.

    An odd last row or column is left away. Clean means: as clean as the film was.
    """

    def __init__(self, footage: Footage, sensor: Sensor, *, exposure: float = 1.0) -> None:
        height, width = footage.size
        super().__init__(
            name=footage.name,
            sensor=sensor,
            content=Content.CLEAN,
            iso=None,
            length=len(footage),
            size=(height // 2 * 2, width // 2 * 2),
        )
        self.footage, self.exposure = footage, exposure
        self.paths = tuple(footage.paths)

    def frame(self, index: int) -> Float[Tensor, "height width"]:
        """The clean mosaic at `index` in DN, with fractions."""
        self.check_range(index, 1)
        height, width = self.size
        picture = self.footage.picture(index)[:, :height, :width]
        return mosaic_of((unprocess(picture) * self.exposure).clamp(0, 1), self.sensor)


def mosaic_of(
    light: Float[Tensor, "3 height width"], sensor: Sensor
) -> Float[Tensor, "height width"]:
    """The mosaic in DN that a sensor has of linear camera colours in [0, 1]."""
    colours = zip((0, 1, 2, 1), plane_offsets(sensor.pattern), strict=True)
    planes = [light[colour, row::2, column::2] for colour, (row, column) in colours]
    return unpack(denormalise(torch.stack(planes), sensor), sensor.pattern)
