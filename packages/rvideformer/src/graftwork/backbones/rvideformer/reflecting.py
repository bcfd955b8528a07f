"""Padding of frames of any size to one that the network takes."""

import torch
from jaxtyping import Float
from torch import Tensor


def padded(
    x: Float[Tensor, "batch frames 4 rows columns"], multiple: int, least: tuple[int, int]
) -> Float[Tensor, "batch frames 4 more_rows more_columns"]:
    """Mirror frames at their bottom and right edge, back and forth as often as it takes.

    The result is a multiple of `multiple` and at least `least`; a single row or column repeats.
    """
    for dim, at_least in zip((-2, -1), least, strict=True):
        length = x.shape[dim]
        target = max(-(-length // multiple) * multiple, at_least)
        if target != length:
            x = x.index_select(dim, _mirrored(length, target).to(x.device))
    return x


def _mirrored(length: int, target: int) -> Tensor:
    period = max(2 * (length - 1), 1)
    place = torch.arange(target) % period
    return torch.minimum(place, period - place)
