"""Ordinary pictures back to the light that a sensor would have seen.

    inverse smoothstep ½ − sin(asin(1 − 2x)/3) → power 2.2 → RGB→camera matrix
        → division by the white-balance gains, highlights kept → clip

the recipe of RViDeNet (Yue et al. 2020) after Brooks et al. 2019, arXiv:1811.11127, and the inverse
of `graftwork.raw.isp`, whose constants it shares.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.raw.colour import GAMMA, WHITE_BALANCE, apply_matrix, rgb_to_camera

_INFLECTION = 0.9


def unprocess(
    srgb: Float[Tensor, "*lead 3 height width"],
) -> Float[Tensor, "*lead 3 height width"]:
    """The camera's linear R, G and B in [0, 1] of a picture in sRGB, [0, 1]."""
    linear = inverse_smoothstep(srgb.clamp(0, 1)) ** GAMMA
    return _without_gains(apply_matrix(rgb_to_camera(), linear)).clamp(0, 1)


def inverse_smoothstep(y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The x in [0, 1] with 3x² − 2x³ = y."""
    return 0.5 - torch.sin(torch.asin(1 - 2 * y) / 3)


def _without_gains(camera: Tensor) -> Tensor:
    """The light before white balance; grey above the inflection is led to 1 in every colour.

    Plain division would leave every white as a tint that no full pixel has.
    """
    divisors = 1 / camera.new_tensor(WHITE_BALANCE)[:, None, None]
    grey = camera.mean(dim=-3, keepdim=True)
    mask = ((grey - _INFLECTION).clamp(min=0) / (1 - _INFLECTION)).square()
    return camera * torch.maximum(mask + (1 - mask) * divisors, divisors)
