"""LoHa: the entry-wise product of two low-rank matrices, of rank up to r squared."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.adapters.drawing import kaiming
from graftwork.adapters.dropout import drawn_units, drops
from graftwork.adapters.hadamard_sum import HadamardSum
from graftwork.adapters.low_rank import refuse_ranks
from graftwork.adapters.rank import RankConfig
from graftwork.adapters.row_dropout import RowDropoutConfig
from graftwork.core.config import config
from graftwork.nn import Site, WeightAdapter
from graftwork.nn.product import plain_autograd


@config
class LoHaConfig(RankConfig, RowDropoutConfig):
    """Settings of LoHa. It has twice the parameters of LoRA at the same rank."""


class LoHa(WeightAdapter):
    """W' = W + scale (B1 A1) * (B2 A2), * by entries  (Hyeon-Woo et al. 2022, arXiv:2108.06098).

    Shapes: W (rows, cols), A1 and A2 (r, cols), B1 and B2 (rows, r); scale = alpha / r. FedPara
    writes whole weights so; LoHa, the change of a weight (Yeh et al. 2023, arXiv:2309.14859), whose
    code calls the factors w1_a = B1, w1_b = A1, w2_a = B2, w2_b = A2. A convolution is taken as its
    matrix (no Tucker form), an embedding too.

    Starts as PEFT does, by Kaiming's uniform with A2 = 0; LyCORIS draws A1 and A2 from N(0, 1), B1
    from N(0, 0.1^2), and has B2 = 0. From PEFT's start 200 steps of Adam towards another network
    left 0.27 of the loss at the best learning rate, from LyCORIS's 0.50 (0.34 at its alpha of 1).
    That learning rate is some three times LoRA's.
    """

    additive = True

    def __init__(self, site: Site, settings: LoHaConfig) -> None:
        super().__init__(site)
        self.scale = settings.scale
        self.dropout = nn.Dropout(settings.dropout)
        self.first_up = kaiming(site.rows, settings.rank)
        """B1."""
        self.first_down = kaiming(settings.rank, site.cols)
        """A1."""
        self.second_up = kaiming(site.rows, settings.rank)
        """B2."""
        self.second_down = nn.Parameter(torch.zeros(settings.rank, site.cols))
        """A2."""

    @classmethod
    def check(cls, settings: LoHaConfig, sites: Mapping[str, Site]) -> None:
        """A fresh graft has no rank above a site's; a file may, for other tools write such."""
        refuse_ranks(settings.rank, sites)

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W + scale (B1 A1) * (B2 A2)."""
        return self._changed(weight, self.first_up)

    def drops(self) -> bool:
        """In training, at a dropout above 0."""
        return drops(self.dropout)

    def form(self) -> Callable[[Tensor], Tensor]:
        """`effective`, where rows of B1 are zero for those of the change that are dropped."""
        kept = drawn_units(self.dropout, self.site.rows, self.first_up.device)
        if kept is None:
            return self.effective
        return lambda weight: self._changed(weight, self.first_up * kept[:, None])

    def _changed(
        self, weight: Float[Tensor, "rows cols"], first_up: Float[Tensor, "rows rank"]
    ) -> Float[Tensor, "rows cols"]:
        if plain_autograd():
            first = self.scale * first_up @ self.first_down
            return torch.addcmul(weight, first, self.second_up @ self.second_down)
        factors = (first_up, self.first_down, self.second_up, self.second_down)
        changed: Tensor = HadamardSum.apply(weight, *factors, self.scale)
        return changed
