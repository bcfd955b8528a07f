"""Does a mosaic agree with its sensor's colour pattern?"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.raw.mosaic import pack
from graftwork.raw.sensor import Sensor

_BLOCK = 8
_CLEARLY = 3.0
_NOTABLE = 0.01  # of the range from black to white


def check_pattern(mosaic: Float[Tensor, "height width"], sensor: Sensor, *, place: str) -> None:
    """Refuse a mosaic whose two greens differ while its red and blue agree.

    That tells RGGB and BGGR from GRBG and GBRG in any scene with some colour in it. Red taken for
    blue cannot be told without knowing the scene, nor can anything in a grey one.

    Raises:
        GraftworkError: the greens of the pattern are not green.
    """
    planes = pack(mosaic, sensor.pattern)
    if min(planes.shape[-2:]) < _BLOCK:
        return
    black = planes.new_tensor(sensor.black)[:, None, None]
    red, green, blue, other_green = F.avg_pool2d(planes - black, _BLOCK)
    greens = float((green - other_green).abs().mean())
    colours = float((red - blue).abs().mean())
    span = sensor.white_level - min(sensor.black)
    if greens > _CLEARLY * colours and greens > _NOTABLE * span:
        raise GraftworkError(
            f"{place}: its pixels do not fit the pattern {sensor.pattern} of sensor {sensor.name}: "
            f"the two greens differ by {greens:.0f} DN, red and blue by {colours:.0f}; name the "
            "right pattern"
        )
