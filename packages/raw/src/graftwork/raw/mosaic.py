"""Packing: one mosaic of H×W pixels is four planes of H/2×W/2.

    planes[R, Gr, B, Gb] = mosaic[row::2, column::2] of each colour's place in the 2×2 cell,

which for GBRG is mosaic[1::2, 0::2], [1::2, 1::2], [0::2, 1::2], [0::2, 0::2] (Yue et al. 2023,
arXiv:2305.00767).
"""

import torch
from jaxtyping import Shaped
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.raw.cfa import Pattern, plane_offsets


def pack(
    mosaic: Shaped[Tensor, "*lead height width"], pattern: Pattern
) -> Shaped[Tensor, "*lead 4 half_height half_width"]:
    """The four planes of a mosaic, in the order R, G (red row), B, G (blue row).

    Raises:
        GraftworkError: the height or the width is odd.
    """
    check_even(mosaic.shape[-2], mosaic.shape[-1], place="mosaic")
    planes = [mosaic[..., row::2, column::2] for row, column in plane_offsets(pattern)]
    return torch.stack(planes, dim=-3)


def unpack(
    planes: Shaped[Tensor, "*lead 4 half_height half_width"], pattern: Pattern
) -> Shaped[Tensor, "*lead height width"]:
    """The mosaic of four planes: the inverse of `pack`, differentiable like it."""
    places = {place: index for index, place in enumerate(plane_offsets(pattern))}
    rows = [
        torch.stack([planes[..., places[row, column], :, :] for column in (0, 1)], dim=-1)
        for row in (0, 1)
    ]
    cells = torch.stack([row.flatten(-2) for row in rows], dim=-2)
    return cells.flatten(-3, -2)


def check_even(height: int, width: int, *, place: str) -> None:
    """Refuse a size that cannot be a Bayer mosaic.

    Raises:
        GraftworkError: the height or the width is odd or zero.
    """
    if height % 2 or width % 2 or not height or not width:
        raise GraftworkError(
            f"{place}: is {height} rows by {width} columns; a Bayer mosaic has an even number of "
            "both: crop it to whole 2×2 cells"
        )
