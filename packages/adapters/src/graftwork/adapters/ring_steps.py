"""A tensor-ring matrix as a chain of matrix products, or as one where that is less work."""

from collections.abc import Sequence
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor

Steps = Sequence[Tensor]
"""The matrices of a chain, (p, q), but the last (R, p, q); a single one is T itself, (1, p, q)."""

# The price of a chain's steps in multiplications of one big product, measured on a CPU core:
# thin products run at less than half its speed, and some passes over the data come on top.
_THIN, _PASSES = 2.3, 100


def ring_steps(cores: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """The steps of T[(i1..iD), (j1..jD)] = trace(A1[i1,j1] ... AD[iD,jD]), whichever is cheaper."""
    cores = [core.to(dtype) for core in cores]
    return _chained(cores) if price(cores) < _cols(cores) else [ring_matrix(cores)[None]]


def price(cores: Sequence[Float[Tensor, "_rows _cols ring ring"]]) -> float:
    """What T x costs for each element of x, in multiplications of a big matrix product."""
    first, *middle, last = cores
    ring = first.shape[-1]
    count = ring**2 * (len(first) + len(last)) + ring**3 * sum(map(len, middle))
    return min(_PASSES + _THIN * count, _cols(cores))


def ring_matrix(
    cores: Sequence[Float[Tensor, "_rows _cols ring ring"]],
) -> Float[Tensor, "rows cols"]:
    """T itself."""
    *opening, last = cores
    merged = reduce(_merged, opening)
    return torch.einsum("abrs,cdsr->acbd", merged, last).flatten(2).flatten(0, 1)


def _merged(left: Tensor, right: Tensor) -> Tensor:
    """Two neighbouring cores as one."""
    return torch.einsum("abrs,cdst->acbdrt", left, right).flatten(2, 3).flatten(0, 1)


def _chained(cores: Sequence[Tensor]) -> list[Tensor]:
    """Every core (I_d, J_d, R, R) as the matrix (i, s) x (r, j) of its step.

    The ring's open end joins i of the first core, and counts the matrices of the last.
    """
    first, *middle, last = cores
    return [
        first.permute(2, 0, 3, 1).reshape(-1, first.shape[1]),
        *(core.permute(0, 3, 2, 1).flatten(2).flatten(0, 1) for core in middle),
        last.permute(3, 0, 2, 1).flatten(2),
    ]


def _cols(cores: Sequence[Tensor]) -> int:
    return torch.Size(core.shape[1] for core in cores).numel()
