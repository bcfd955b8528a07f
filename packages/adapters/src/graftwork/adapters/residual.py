"""What TLoRA adds to the transformed weight: a product of two factors, stored or built."""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.adapters.factorising import Factors
from graftwork.adapters.tensor_ring import ring_factors

Pair = tuple[Float[Tensor, "rank cols"], Float[Tensor, "rows rank"]]


class Residual(nn.Module, ABC):
    """Delta = B A, zero at the start."""

    @abstractmethod
    def factors(self) -> Pair:
        """A and B."""


class LowRankResidual(Residual):
    """B A of rank R, with A normal of variance 1 / (3 cols), Kaiming's for a = sqrt(5); B zero.

    Args:
        rows: rows of Delta.
        cols: columns of Delta.
        rank: R.
    """

    def __init__(self, rows: int, cols: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(rank, cols))
        """A."""
        self.up = nn.Parameter(torch.zeros(rows, rank))
        """B."""
        nn.init.kaiming_normal_(self.down, a=math.sqrt(5))

    def factors(self) -> Pair:
        """A and B."""
        return self.down, self.up


class RingResidual(Residual):
    """Delta[(i1..), (j1..)] = trace(B1[i1] .. BD[iD] C1[j1] .. CD[jD]), of rank R^2 as a matrix.

    As in the code that goes with the paper, B1 is zero, C^d has variance 1 / J_d, and the other
    B^d have the standard deviation sqrt(I_d) / R^2. The paper scales all of them by
    sqrt(R) / (size R); that I_d is the core's own size is our reading of the code's notation.

    Args:
        rows: I_1 ... I_D, the factors of the rows.
        cols: J_1 ... J_D, those of the columns.
        rank: R.
    """

    def __init__(self, rows: Factors, cols: Factors, rank: int) -> None:
        super().__init__()
        first, *others = rows
        self.outputs = nn.ParameterList(
            [torch.zeros(first, rank, rank)]
            + [torch.randn(size, rank, rank) * math.sqrt(size) / rank**2 for size in others]
        )
        """B^d."""
        self.inputs = nn.ParameterList(
            torch.randn(size, rank, rank) / math.sqrt(size) for size in cols
        )
        """C^d."""

    def factors(self) -> Pair:
        """A (R^2, cols) and B (rows, R^2), from the cores."""
        return ring_factors(list(self.outputs), list(self.inputs))
