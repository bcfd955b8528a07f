"""Between a sensor's digital numbers (DN) and values with black at 0 and white at 1.

normalised = (DN − black) / (white − black), for each plane with its own black level.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graftwork.raw.mosaic import unpack
from graftwork.raw.sensor import Sensor

Rounding = Literal["nearest", "truncate"]
"""How a fraction of a DN goes: ``truncate`` is what published figures were computed with, and costs
half a DN of bias."""


def normalise(
    planes: Float[Tensor, "*lead 4 height width"],
    sensor: Sensor,
    *,
    negatives: Literal["keep", "clamp"],
) -> Float[Tensor, "*lead 4 height width"]:
    """DN brought to black 0 and white 1.

    Noise makes dark pixels fall below black. ``keep`` leaves them negative, which is unbiased;
    ``clamp`` sets them to 0, which is what RViDeformer was published with.
    """
    black, span = _levels(planes, sensor)
    values = (planes - black) / span
    return values.clamp(min=0) if negatives == "clamp" else values


def denormalise(
    values: Float[Tensor, "*lead 4 height width"], sensor: Sensor
) -> Float[Tensor, "*lead 4 height width"]:
    """The inverse of `normalise` with negatives kept: DN with their fractions, not clipped."""
    black, span = _levels(values, sensor)
    return values * span + black


def quantise(
    dn: Float[Tensor, "*shape"], sensor: Sensor, *, rounding: Rounding
) -> Int[Tensor, "*shape"]:
    """Whole DN, clipped to what the sensor can give: 0 to its white level.

    For the published protocol clamp the normalised values to [0, 1] first and truncate here.
    """
    clipped = dn.clamp(0, sensor.white_level)
    whole = clipped.round() if rounding == "nearest" else clipped.floor()
    return whole.to(torch.int32)


def black_map(sensor: Sensor, height: int, width: int) -> Float[Tensor, "height width"]:
    """The black level of every pixel of a mosaic, in float64."""
    planes = torch.tensor(sensor.black, dtype=torch.float64)[:, None, None]
    return unpack(planes.expand(4, height // 2, width // 2), sensor.pattern)


def _levels(like: Tensor, sensor: Sensor) -> tuple[Tensor, Tensor]:
    black = like.new_tensor(sensor.black)[:, None, None]
    return black, sensor.white_level - black
