"""Sine-LoRA: the sine of a low-rank product, entry by entry."""

import math
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.adapters.low_rank import LowRank, LowRankConfig
from graftwork.adapters.sine_product import SineProduct, can_rebuild, sine
from graftwork.core.config import Gt, Search, config
from graftwork.nn import Site


@config
class SineLoRAConfig(LowRankConfig):
    """Settings of Sine-LoRA."""

    omega: Annotated[float, Gt(0), Search(50, 400, log=True)] = 200.0
    """Frequency of the sine, not trained. As it goes to 0 the change becomes LoRA's, times
    omega / sqrt(cols); the best value depends on the task."""


class SineLoRA(LowRank):
    """W' = W + (alpha / r) sin(omega B A) / g, g = sqrt(cols)  (Ji et al. 2025, arXiv:2403.19243).

    Shapes: W (rows, cols), A (r, cols), B (rows, r). No entry changes by more than
    alpha / (r g). Convolutions and embeddings by their matrix are our reading; the paper and its
    code have linear layers alone. The sine is taken in float32 at least: at omega = 200 the
    spacing of bfloat16 around omega B A is itself a visible angle.
    """

    additive = True

    def __init__(self, site: Site, settings: SineLoRAConfig) -> None:
        super().__init__(site, settings)
        self.omega = settings.omega
        self.gain = self.scale / math.sqrt(site.cols)

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W + gain sin(omega B A)."""
        return weight + self._change()

    def forward(self, x: Tensor, frozen: Tensor) -> Tensor:
        """W x + gain sin(omega B A) x, in the dtype of W x, keeping x, A and B for backward."""
        if self.site.kind == "embedding":
            return frozen + self._looked_up(x)
        x = self.dropped(x).to(frozen.dtype)
        if torch.compiler.is_compiling() or not can_rebuild(self.site, x):
            return frozen + self.site.apply(x, self._change().to(x.dtype))
        args = (self.down, self.up, self.site, self.omega, self.gain)
        return frozen + SineProduct.apply(x, *args)

    def _change(self) -> Float[Tensor, "rows cols"]:
        with torch.autocast(self.up.device.type, enabled=False):
            return self.gain * sine(self.down, self.up, self.omega)

    def _looked_up(self, ids: Tensor) -> Float[Tensor, "*ids rows"]:
        """The sine of the looked-up columns of B A alone."""
        with torch.autocast(self.up.device.type, enabled=False):
            wide = torch.promote_types(self.dtype, torch.float32)
            columns = self.site.down(ids, self.down).to(wide)
            return self.gain * torch.sin(self.site.up(columns, self.omega * self.up.to(wide)))
