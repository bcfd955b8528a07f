"""Relative position bias: b(i, j) = table[t_i - t_j, y_i - y_j, x_i - x_j] for each head.

A table has (2 F - 1)(2 R - 1)(2 K - 1) rows for windows of F frames, R rows and K columns. Fewer
frames read the middle of it. The bias is read anew in every call, which costs a hundredth of the
attention: what is not kept cannot be stale after a step of training.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from graftwork.backbones.rvideformer.caching import cached


def new_table(window: tuple[int, int, int], heads: int) -> nn.Parameter:
    """A table for windows of a size, drawn from a truncated normal with deviation 0.02."""
    frames, rows, cols = (2 * side - 1 for side in window)
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(frames * rows * cols, heads), std=0.02))


@cached
def relative_index(
    frames: int, window: tuple[int, int, int], device: torch.device
) -> Int[Tensor, "tokens tokens"]:
    """The row of the table for query i and key j of the window's first `frames` frames."""
    _, rows, cols = window
    at = torch.cartesian_prod(*(torch.arange(n, device=device) for n in (frames, rows, cols)))
    offset = at[:, None] - at + torch.tensor([side - 1 for side in window], device=device)
    return (offset[..., 0] * (2 * rows - 1) + offset[..., 1]) * (2 * cols - 1) + offset[..., 2]


@cached
def pooled_index(
    frames: int, window: tuple[int, int, int], device: torch.device
) -> Int[Tensor, "tokens pooled_tokens"]:
    """`relative_index` for pooled keys, which stand at the even rows and columns."""
    index = relative_index(frames, window, device)
    return index.unflatten(1, (frames, *window[1:]))[..., ::2, ::2].flatten(1)


def bias(
    table: Float[Tensor, "entries heads"], index: Int[Tensor, "queries keys"], dtype: torch.dtype
) -> Float[Tensor, "heads queries keys"]:
    """The bias of every pair of tokens."""
    return F.embedding(index, table).permute(2, 0, 1).to(dtype).contiguous()
