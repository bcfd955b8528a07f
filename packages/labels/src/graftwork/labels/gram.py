"""Singular values and covariance of a matrix by the Gram matrix of its smaller side.

For Z (M, D) the eigenvalues of Z Z^T and of Z^T Z, whichever is smaller, are sigma_k^2, and

    sum_ij C_ij^2 = |Z_c Z_c^T|_F^2 / (M - 1)^2 = |Z_c^T Z_c|_F^2 / (M - 1)^2

with Z_c = Z less its column means, so the D x D covariance is formed only where D < M. A square
root doubles what rounding does to small sigma_k, so all of it is in float64: in float32 a singular
value that is zero would come out as 3e-4 of the largest. The gradient of an eigenvalue is that of
its own vector alone; equal ones divide by nothing.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Gram:
    """The Gram matrix of Z, and what it takes to go on from there."""

    matrix: Float[Tensor, "side side"]
    """Z Z^T where M < D, or else Z^T Z; float64."""
    sums: Float[Tensor, "dims"]
    """Column sums of Z."""
    squares: Float[Tensor, "dims"]
    """Column sums of the squares of Z."""
    rows: int
    """M."""

    @classmethod
    def of(cls, features: Float[Tensor, "rows dims"]) -> "Gram":
        """The Gram matrix of some features."""
        with torch.autocast(features.device.type, enabled=False):
            wide = features.double()
            rows, dims = wide.shape
            return cls(
                matrix=wide @ wide.T if rows < dims else wide.T @ wide,
                sums=wide.sum(dim=0),
                squares=wide.square().sum(dim=0),
                rows=rows,
            )

    def singular_values(self) -> Float[Tensor, "side"]:
        """sigma, falling; what float64 cannot tell from zero is zero and has no gradient."""
        found = torch.linalg.eigvalsh(self.matrix).flip(0)
        floor = found.detach()[0].clamp(min=0) * len(found) * torch.finfo(found.dtype).eps
        told = found > floor
        return torch.where(told, torch.where(told, found, 1.0).sqrt(), 0.0)

    def share(self, largest: int) -> Float[Tensor, ""]:
        """The mean of the `largest` of sigma_k / sum sigma; of fewer, of those there are."""
        values = self.singular_values()
        return values[:largest].mean() / values.sum().clamp(min=torch.finfo(values.dtype).tiny)

    def covariance(self) -> Float[Tensor, ""]:
        """1/D sum_{i != j} C_ij^2; 0 for one row."""
        rows, dims = self.rows, len(self.sums)
        if rows < 2:
            return self.sums.sum() * 0.0
        variances = self.squares - self.sums.square() / rows
        if rows < dims:
            # Cancels nothing that matters: of rank < D, C cannot be near its diagonal.
            every = self._centred().square().sum() - variances.square().sum()
        else:
            products = self.matrix - torch.outer(self.sums, self.sums) / rows
            every = (products - torch.diag(products.diagonal())).square().sum()
        return every / ((rows - 1) ** 2 * dims)

    def _centred(self) -> Float[Tensor, "rows rows"]:
        """Z_c Z_c^T from Z Z^T."""
        means = self.matrix.mean(dim=0)
        return self.matrix - means[:, None] - means[None, :] + means.mean()
