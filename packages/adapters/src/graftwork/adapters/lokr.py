"""LoKr: the Kronecker product of a small matrix and a low-rank one."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graftwork.adapters.drawing import kaiming
from graftwork.adapters.dropout import drawn_units, drops
from graftwork.adapters.kronecker import kronecker, kronecker_product, pays
from graftwork.adapters.low_rank import refuse_ranks
from graftwork.adapters.rank import RankConfig
from graftwork.adapters.row_dropout import RowDropoutConfig
from graftwork.core.config import Ge, Search, config
from graftwork.nn import Site, WeightAdapter
from graftwork.nn.product import plain_autograd


@config
class LoKrConfig(RankConfig, RowDropoutConfig):
    """Settings of LoKr."""

    factor: Annotated[int, Ge(-1), Search(choices=(-1, 4, 8, 16))] = -1
    """Side of the coarse matrix C: a side of the layer is split into the largest divisor up to
    this and the rest, the smaller of the two going to C. -1 splits as near to a square as can be,
    which gives the fewest parameters."""

    decompose_both: bool = False
    """Write C as a product of rank r too, where that is smaller (2 r below its larger side)."""

    def __post_init__(self) -> None:
        if self.factor == 0:
            raise ValueError("factor: 0 splits nothing; give a divisor, or -1 for the squarest")


class LoKr(WeightAdapter):
    """W' = W + scale C (x) F, (x) the Kronecker product  (Yeh et al. 2023, arXiv:2309.14859).

    Shapes: W (a c, b d), C (a, b), F (c, d), a <= c and b <= d. F = B A of rank r where
    2 r < max(c, d), else full; C is full unless `decompose_both`. A convolution splits its input
    channels and gives the kernel to F; an embedding splits its vocabulary. The paper's code calls
    the factors w1 = C, w2 = F, w2_a = B, w2_b = A.

    Where libraries differ, ours: scale = alpha / r always, as PEFT has it (LyCORIS takes 1 where
    both factors are full); an explicit factor above the square root is swapped so that C is the
    smaller, as LyCORIS does (PEFT does not). Starts as LyCORIS does: Kaiming's uniform for all but
    A (or F) = 0, so that the larger factor moves first.
    """

    additive = True

    def __init__(self, site: Site, settings: LoKrConfig) -> None:
        super().__init__(site)
        self.scale = settings.scale
        self.dropout = nn.Dropout(settings.dropout)
        channels, kernel = _channels(site)
        coarse_rows, fine_rows = split(site.rows, settings.factor)
        coarse_cols, fine_channels = split(channels, settings.factor)
        rank = settings.rank
        small = settings.decompose_both and 2 * rank < max(coarse_rows, coarse_cols)
        self.coarse = Factor(coarse_rows, coarse_cols, rank if small else None)
        """C."""
        small = 2 * rank < max(fine_rows, fine_channels)
        fine_cols = fine_channels * kernel
        self.fine = Factor(fine_rows, fine_cols, rank if small else None, zero=True)
        """F."""

    @classmethod
    def check(cls, settings: LoKrConfig, sites: Mapping[str, Site]) -> None:
        """A fresh graft has no rank above a site's; a file may, for other tools write such."""
        refuse_ranks(settings.rank, sites)

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W + scale C (x) F."""
        return weight + kronecker(self.scale * self.coarse(), self.fine())

    def drops(self) -> bool:
        """In training, at a dropout above 0."""
        return drops(self.dropout)

    def form(self) -> Callable[[Tensor], Tensor]:
        """`effective`, but for rows of the change that are dropped."""
        kept = self._kept()
        if kept is None:
            return self.effective
        return partial(self._masked, kept)

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """W' x + b; the gradients of C and F without one of the weight's size."""
        with torch.autocast(x.device.type, enabled=False):
            coarse, fine = self.scale * self.coarse(), self.fine()
        if plain_autograd() or not _is_product(self.site) or not pays(coarse, fine):
            return super().product(x, bias)
        return kronecker_product(self.site, x, coarse, fine, bias, self._kept())

    def _masked(
        self, kept: Bool[Tensor, "rows"], weight: Float[Tensor, "rows cols"]
    ) -> Float[Tensor, "rows cols"]:
        return weight + kept[:, None] * kronecker(self.scale * self.coarse(), self.fine())

    def _kept(self) -> Bool[Tensor, "rows"] | None:
        return drawn_units(self.dropout, self.site.rows, self.coarse.down.device)


class Factor(nn.Module):
    """A matrix, whole or as a product of two of rank r."""

    def __init__(self, rows: int, cols: int, rank: int | None, *, zero: bool = False) -> None:
        super().__init__()
        height = rows if rank is None else rank
        self.down = nn.Parameter(torch.zeros(height, cols)) if zero else kaiming(height, cols)
        """A, or the whole matrix."""
        if rank is None:
            self.register_parameter("up", None)
        else:
            self.up = kaiming(rows, rank)
            """B; None where the matrix is whole."""

    def forward(self) -> Float[Tensor, "rows cols"]:
        """The matrix."""
        return self.down if self.up is None else self.up @ self.down


def split(side: int, factor: int) -> tuple[int, int]:
    """A side as a product of two, the smaller first; -1 asks for the squarest.

    >>> split(320, -1), split(320, 8), split(320, 7), split(127, 16), split(20, 10)
    ((16, 20), (8, 40), (5, 64), (1, 127), (2, 10))
    """
    if factor > 0 and side % factor == 0:
        smaller = min(factor, side // factor)
    else:
        largest = math.isqrt(side) if factor < 0 else min(factor, math.isqrt(side))
        smaller = next(d for d in range(largest, 0, -1) if side % d == 0)
    return smaller, side // smaller


def _channels(site: Site) -> tuple[int, int]:
    """The columns that are split, and those that follow each of them."""
    if not site.kind.startswith("conv"):
        return site.cols, 1
    channels = site.frozen().shape[1]
    return channels, site.cols // channels


def _is_product(site: Site) -> bool:
    """Whether the layer multiplies every token by W, with no kernel around it."""
    if site.kind == "linear":
        return True
    if not site.kind.startswith("conv") or site.groups > 1:
        return False
    layer: Any = site.layer
    plain = all(s == 1 for s in layer.stride) and layer.padding in ((0,), (0, 0), (0, 0, 0))
    return plain and site.cols == site.frozen().shape[1]
