"""Reading an image between its pixels with Lanczos' window of three lobes.

    L(t) = sinc(t) · sinc(t/3) for |t| < 3,

with the six weights of each axis made to sum to 1, so that a flat field stays flat.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

REACH = 3
"""Pixels on either side that a sample needs."""


def sample(
    image: Float[Tensor, "channels height width"],
    *,
    channel: Int[Tensor, "rows columns"],
    down: Float[Tensor, "rows columns"],
    right: Float[Tensor, "rows columns"],
) -> Float[Tensor, "rows columns"]:
    """One channel of the image at each place, in pixels from the middle of the first pixel.

    The places must lie at least `REACH` pixels inside the image.
    """
    _, height, width = image.shape
    top, vertical = _taps(down)
    left, horizontal = _taps(right)
    base = (channel * height + top) * width + left
    flat = image.reshape(-1)
    total = torch.zeros_like(down)
    for row in range(2 * REACH):
        line = torch.zeros_like(down)
        for column in range(2 * REACH):
            line += horizontal[column] * flat[base + (row * width + column)]
        total += vertical[row] * line
    return total


def _taps(position: Tensor) -> tuple[Tensor, Tensor]:
    """The first of six pixels, and their weights."""
    first = position.floor().long() - (REACH - 1)
    steps = torch.arange(2 * REACH).to(position)
    distance = position - first - steps.reshape(-1, *[1] * position.ndim)
    weights = torch.sinc(distance) * torch.sinc(distance / REACH) * (distance.abs() < REACH)
    return first, weights / weights.sum(dim=0)
