"""LoRA: a low-rank change that is added to the weight."""

import math

from jaxtyping import Float
from torch import Tensor

from graftwork.adapters.low_rank import LowRank, LowRankConfig
from graftwork.adapters.low_rank_product import LowRankProduct
from graftwork.core.config import config
from graftwork.nn import Site
from graftwork.nn.product import in_layer_dtype


@config
class LoRAConfig(LowRankConfig):
    """Settings of LoRA."""

    rank_stabilized: bool = False
    """Scale by alpha / sqrt(rank) instead, which keeps the size of learned features at high rank
    (Kalajdzievski 2023, arXiv:2312.03732). Set `alpha` with it: left out, the scale is
    sqrt(rank)."""


class LoRA(LowRank):
    """W' = W + scale B A, with scale = alpha / r  (Hu et al. 2021, arXiv:2106.09685).

    Shapes: W (rows, cols), A (r, cols), B (rows, r). On a convolution A convolves to r channels
    as the layer does, and B mixes them; on an embedding A is looked up.
    """

    additive = True

    def __init__(self, site: Site, settings: LoRAConfig) -> None:
        super().__init__(site, settings)
        if settings.rank_stabilized:
            self.scale = settings.numerator / math.sqrt(settings.rank)

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W + scale B A."""
        return weight + self.scale * self.up @ self.down

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """W x + b + scale B (A x), in one function where the layer is linear."""
        if not self.by_hand():
            frozen = self.site.apply(x, self.site.weight(), bias)
            return self.forward(x, frozen).to(frozen.dtype)
        x = in_layer_dtype(x)
        change = self.change(x)
        return LowRankProduct.apply(x, self.down, self.up, self.site.weight(), bias, change)[0]

    def forward(self, x: Tensor, frozen: Tensor) -> Tensor:
        """W x + scale B (A x), which costs r (rows + cols) for each x instead of rows cols."""
        hidden = self.site.down(self.dropped(x), self.down)
        return frozen + self.site.up(hidden, self.scale * self.up)
