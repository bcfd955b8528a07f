"""Cores of a tensor-ring matrix that is the identity."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

_GRID = 128
"""Weights are whole multiples of 1 / 128: products of three and their sums are exact in float32."""


def identity_cores(sizes: Sequence[int], rank: int) -> list[Tensor]:
    """A^d[i, j] = I_{I_d}[i, j] / R in every slice (arXiv:2501.08727, proposition 1).

    All slices are equal, and the trace is symmetric under them: they receive equal gradients and
    stay equal for ever, so that R^2 times the parameters train one Kronecker product.
    """
    weights = torch.full((len(sizes), rank, rank), 1 / rank)
    return _cores(sizes, weights)


def broken_identity_cores(sizes: Sequence[int], rank: int, *, spread: float = 0.5) -> list[Tensor]:
    """A^d[i, j] = P^d I_{I_d}[i, j] with unequal weights P^d and trace(P^1 ... P^D) = 1 exactly.

    Ours. Every row of a P^d sums to 1, and the rows of P^1 are equal, P^1 = 1 v^T. Then
    trace(P^1 M) = v^T M 1 = v^T 1 = 1 for the product M of the others.

    Args:
        sizes: I_1 ... I_D.
        rank: R.
        spread: standard deviation of the weights in units of 1 / R.
    """
    noise = spread * torch.randn(len(sizes), rank, rank)
    weights = ((1 + noise) * (_GRID / rank)).round() / _GRID
    weights[..., -1] += 1 - weights.sum(-1)
    weights[0] = weights[0, :1]
    return _cores(sizes, weights)


def _cores(
    sizes: Sequence[int], weights: Float[Tensor, "cores ring ring"]
) -> list[Float[Tensor, "_size _size ring ring"]]:
    return [
        torch.einsum("ij,rs->ijrs", torch.eye(size), one)
        for size, one in zip(sizes, weights, strict=True)
    ]
