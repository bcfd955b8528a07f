"""graftwork-isp-1: raw to sRGB, for previews, losses and figures of our own.

    clip → white balance → clip → bilinear demosaic → camera→RGB matrix → clip
         → power 1/2.2 → smoothstep 3x² − 2x³

It is fixed: no exposure, no white balance and no tone curve is taken from the picture. Published
sRGB figures of CRVD and ReCRVD were computed with a trained network whose weights are not free;
numbers through this chain are other numbers, and their name says so.
"""

from jaxtyping import Float
from torch import Tensor

from graftwork.raw.cfa import Pattern
from graftwork.raw.colour import GAMMA, WHITE_BALANCE, apply_matrix, camera_to_rgb
from graftwork.raw.demosaicing import demosaic

NAME = "graftwork-isp-1"
"""What a figure computed through this chain must be printed with."""

_DARKEST = 1e-8  # the power's slope is infinite at 0


def render(
    values: Float[Tensor, "*lead 4 half_height half_width"],
    pattern: Pattern,
    *,
    exposure: float = 1.0,
) -> Float[Tensor, "*lead 3 height width"]:
    """sRGB in [0, 1] of normalised packed planes (black 0, white 1); differentiable.

    ``exposure`` multiplies the light, for previews of dark clips; figures keep it at 1.
    """
    light = (values * exposure).clamp(0, 1)
    # A full pixel is white, whatever the gains: without this clip highlights turn pink.
    balanced = (light * _gains(light)).clamp(max=1)
    linear = apply_matrix(camera_to_rgb(), demosaic(balanced, pattern))
    return smoothstep(linear.clamp(_DARKEST, 1) ** (1 / GAMMA))


def smoothstep(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The tone curve 3x² − 2x³ on [0, 1]."""
    return x.square() * (3 - 2 * x)


def _gains(like: Tensor) -> Tensor:
    red, green, blue = WHITE_BALANCE
    return like.new_tensor((red, green, blue, green))[:, None, None]
