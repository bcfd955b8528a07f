"""Tensor rings of vectors: the two factors of a low-rank matrix, built from small cores."""

from collections.abc import Sequence
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor

Core = Float[Tensor, "_size ring ring"]


def ring_factors(
    outputs: Sequence[Core], inputs: Sequence[Core]
) -> tuple[Float[Tensor, "rank cols"], Float[Tensor, "rows rank"]]:
    """A and B with (B A)[i, j] = trace(B1[i1] .. BD[iD] C1[j1] .. CD[jD]).

    Indices are big-endian: i is (i1, ..., iD) as in a row-major tensor of shape (I1, ..., ID).
    With cores of R x R matrices the factors have the rank R^2.

    Args:
        outputs: B^d, the cores of the rows.
        inputs: C^d, those of the columns.
    """
    down = _chained(inputs).mT.flatten(1).T
    return down, _chained(outputs).flatten(1)


def _chained(cores: Sequence[Core]) -> Float[Tensor, "size ring ring"]:
    """B1[i1] B2[i2] ... BD[iD] for every i."""
    return reduce(
        lambda left, right: torch.einsum("arp,bps->abrs", left, right).flatten(0, 1), cores
    )
