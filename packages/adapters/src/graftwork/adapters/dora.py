"""DoRA: a low-rank change of the weight's direction, and a learned length for each row."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.adapters.blocks import block_rows
from graftwork.adapters.dora_product import DoRAProduct
from graftwork.adapters.low_rank import LowRank, LowRankConfig
from graftwork.core.config import config
from graftwork.nn import Site
from graftwork.nn.product import in_layer_dtype


@config
class DoRAConfig(LowRankConfig):
    """Settings of DoRA."""


class DoRA(LowRank):
    """W' = (m / n) V, V = W + scale B A, n = ||V|| by row  (Liu et al. 2024, arXiv:2402.09353).

    Shapes: W and V (rows, cols), m and n (rows,). The magnitude m starts at ||W||, so that W' = W
    while B = 0. As in the paper's section 4.3, no gradient flows through n. A row of zeros has no
    direction and stays zero.

    Not additive: what B A adds is scaled by m / n, which depends on W.
    """

    def __init__(self, site: Site, settings: DoRAConfig) -> None:
        super().__init__(site, settings)
        self.magnitude = nn.Parameter(torch.ones(site.rows))
        """m."""

    @torch.no_grad()
    def start(self, weight: Float[Tensor, "rows cols"]) -> None:
        """m = ||W|| by row."""
        self.magnitude.copy_(torch.linalg.vector_norm(weight, dim=1))

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """(m / n) (W + scale B A)."""
        return self._ratio(weight)[:, None] * (weight + self.scale * self.up @ self.down)

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """(m / n) (W x + scale B (A x)) + b, in one function where the layer is linear."""
        weight = self.site.weight()
        if not self.by_hand():
            frozen = self.site.apply(x, weight)
            output = self.forward(x, frozen).to(frozen.dtype)
            return output if bias is None else output + self.site.channels(bias).to(output.dtype)
        x = in_layer_dtype(x)
        factors = (self.down, self.up, self.magnitude, self._norm(weight))
        return DoRAProduct.apply(x, *factors, weight, bias, self.change(x))[0]

    def forward(self, x: Tensor, frozen: Tensor) -> Tensor:
        """(m / n) (W x + scale B (A x)); dropout acts on the x that meets A."""
        hidden = self.site.down(self.dropped(x), self.down)
        direction = frozen + self.site.up(hidden, self.scale * self.up)
        return direction * self.site.channels(self._ratio(self.site.weight()))

    def _ratio(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows"]:
        """m / n."""
        return self.magnitude / self._norm(weight)

    def _norm(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows"]:
        """n, above 0 also for a row of zeros."""
        norm = row_norms(weight, self.down, self.scale * self.up)
        return norm.clamp_min(torch.finfo(norm.dtype).tiny ** 0.5)


@torch.no_grad()
def row_norms(
    weight: Float[Tensor, "rows cols"],
    down: Float[Tensor, "rank cols"],
    up: Float[Tensor, "rows rank"],
) -> Float[Tensor, "rows"]:
    """||W + B A|| of every row, in the dtype of A (at least that of W when that is wider).

    Forms W + B A a block of rows at a time. The expansion ||W||^2 + 2 <W, BA> + ||BA||^2 needs no
    such block, but is slower than blocks that stay in cache, and loses its digits when B A nearly
    cancels W.
    """
    dtype = torch.promote_types(weight.dtype, down.dtype)
    down, up = down.to(dtype), up.to(dtype)
    size = block_rows(weight)
    pairs = zip(weight.split(size), up.split(size), strict=True)
    with torch.autocast(weight.device.type, enabled=False):
        changed = (torch.addmm(block.to(dtype), rows, down) for block, rows in pairs)
        return torch.cat([torch.linalg.vector_norm(block, dim=1) for block in changed])
