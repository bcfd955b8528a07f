"""Singular values of a change: how much of it a lower rank keeps."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.nn.factors import Factors


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """D = U diag(s) V, with the singular values s falling.

    Cut after r values it is the best approximation of rank r (Eckart and Young 1936), and
    ||D - D_r||_F^2 is the sum of the squared values that are left out.
    """

    left: Float[Tensor, "rows k"]
    """U."""
    values: Float[Tensor, "k"]
    """s."""
    right: Float[Tensor, "k cols"]
    """V."""

    @classmethod
    def of_matrix(cls, matrix: Float[Tensor, "rows cols"]) -> "Spectrum":
        """Decompose a dense matrix."""
        left, values, right = torch.linalg.svd(_wide(matrix), full_matrices=False)
        return cls(left=left, values=values, right=right)

    @classmethod
    def of_product(cls, up: Float[Tensor, "rows r"], down: Float[Tensor, "r cols"]) -> "Spectrum":
        """Decompose B A without forming it: with B = Q R and A^T = P S, by the SVD of R S^T."""
        first, small = torch.linalg.qr(_wide(up))
        second, other = torch.linalg.qr(_wide(down).T)
        core = cls.of_matrix(small @ other.T)
        return cls(left=first @ core.left, values=core.values, right=core.right @ second.T)

    def total(self) -> float:
        """||D||_F^2."""
        return float(self.values.double().square().sum())

    def kept(self, rank: int) -> float:
        """||D_r||_F^2."""
        return float(self.values[:rank].double().square().sum())

    def rank_for(self, energy: float) -> int:
        """The smallest rank that keeps this share of ||D||_F^2; at least 1."""
        squares = self.values.double().square().cumsum(0)
        # The last value is the total, so that 1.0 asks for no more than there is.
        below = squares < energy * float(squares[-1]) * (1 - 1e-12)
        return min(int(below.sum()) + 1, len(squares))

    def cut(self, rank: int) -> Factors:
        """D_r as factors of even size: B = U sqrt(s), A = sqrt(s) V."""
        root = self.values[:rank].sqrt()
        return Factors(down=root[:, None] * self.right[:rank], up=self.left[:, :rank] * root)


def _wide(matrix: Tensor) -> Tensor:
    return matrix.to(torch.promote_types(matrix.dtype, torch.float32))
