"""Two sub-images of half the size with neighbouring pixels (Huang et al. 2021, arXiv:2101.02824).

Of every 2×2 cell one pixel goes to the first sub-image and one that shares an edge with it to the
second: eight ordered pairs, drawn anew for every cell and every frame. The four colour planes of a
frame share the draw, as in RViDeformer's unsupervised training (Yue et al. 2023, arXiv:2305.00767).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

# Corners of a cell in reading order; the pairs that share an edge, both ways round.
_PAIRS = ((0, 1), (1, 0), (0, 2), (2, 0), (1, 3), (3, 1), (2, 3), (3, 2))


class Neighbours(NamedTuple):
    """Which corner of each cell goes to which sub-image."""

    first: Int[Tensor, "batch time half_height half_width"]
    second: Int[Tensor, "batch time half_height half_width"]


def draw_neighbours(
    like: Float[Tensor, "batch time 4 height width"], generator: Generator
) -> Neighbours:
    """One pair for every cell of every frame of planes with an even number of rows and columns."""
    batch, time, _, height, width = like.shape
    shape = (batch, time, height // 2, width // 2)
    pairs = torch.tensor(_PAIRS)
    drawn = pairs[torch.randint(len(_PAIRS), shape, generator=generator)].to(like.device)
    return Neighbours(drawn[..., 0], drawn[..., 1])


def sub_image(
    planes: Float[Tensor, "batch time 4 height width"],
    corner: Int[Tensor, "batch time half_height half_width"],
) -> Float[Tensor, "batch time 4 half_height half_width"]:
    """The pixel of each cell that `corner` names, 0 to 3 in reading order."""
    rows = planes.unflatten(-2, (-1, 2)).unflatten(-1, (-1, 2))  # b t 4 h 2 w 2
    cells = rows.movedim(-3, -2).flatten(-2)  # b t 4 h w 4
    index = corner[:, :, None, :, :, None].expand(*cells.shape[:-1], 1)
    return cells.gather(-1, index).squeeze(-1)
