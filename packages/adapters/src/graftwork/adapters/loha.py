"""LoHa: the entry-wise product of two low-rank matrices, of rank up to r squared."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.adapters.hadamard_sum import HadamardSum
from graftwork.adapters.low_rank import refuse_rank
from graftwork.adapters.rank import RankConfig
from graftwork.core.config import config
from graftwork.nn import Site, WeightAdapter
from graftwork.nn.product import plain_autograd


@config
class LoHaConfig(RankConfig):
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
        refuse_rank(settings.rank, site)
        self.scale = settings.scale
        self.first_up = _kaiming(site.rows, settings.rank)
        """B1."""
        self.first_down = _kaiming(settings.rank, site.cols)
        """A1."""
        self.second_up = _kaiming(site.rows, settings.rank)
        """B2."""
        self.second_down = nn.Parameter(torch.zeros(settings.rank, site.cols))
        """A2."""

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W + scale (B1 A1) * (B2 A2)."""
        if plain_autograd():
            first = self.scale * self.first_up @ self.first_down
            return torch.addcmul(weight, first, self.second_up @ self.second_down)
        factors = (self.first_up, self.first_down, self.second_up, self.second_down)
        changed: Tensor = HadamardSum.apply(weight, *factors, self.scale)
        return changed


def _kaiming(rows: int, cols: int) -> nn.Parameter:
    matrix = nn.Parameter(torch.empty(rows, cols))
    nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))
    return matrix
