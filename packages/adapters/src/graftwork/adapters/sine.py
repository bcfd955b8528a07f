"""Sine-LoRA: the sine of a low-rank product, entry by entry."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.adapters.frequency import FrequencyConfig
from graftwork.adapters.low_rank import LowRank, LowRankConfig
from graftwork.adapters.sine_sum import SineSum
from graftwork.core.config import config
from graftwork.nn import Site
from graftwork.nn.product import plain_autograd, product


@config
class SineLoRAConfig(LowRankConfig, FrequencyConfig):
    """Settings of Sine-LoRA."""


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
        self.omega = settings.omega_at(site.name)
        self.gain = self.scale / math.sqrt(site.cols)

    @classmethod
    def check(cls, settings: SineLoRAConfig, sites: Mapping[str, Site]) -> None:
        """Every pattern of `omega_by_site` decides for a site, and each can have the rank."""
        super().check(settings, sites)
        settings.check_patterns(sites)

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W + gain sin(omega B A)."""
        if plain_autograd():
            return weight + self.gain * sine(self.down, self.up, self.omega)
        return SineSum.apply(weight, self.down, self.up, self.omega, self.gain)

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """W' x + b; dropout acts on the x that meets the change."""
        if self.site.kind == "embedding":
            frozen = self.site.apply(x, self.site.weight())
            return frozen + self._looked_up(x).to(frozen.dtype)
        if self.dropout.training and self.dropout.p > 0.0:
            frozen = self.site.apply(x, self.site.weight(), bias)
            return frozen + product(self.site, self.dropped(x), self._change, (self.down, self.up))
        return super().product(x, bias)

    def _change(self) -> Float[Tensor, "rows cols"]:
        change = self.gain * sine(self.down, self.up, self.omega)
        return change.to(self.site.frozen().dtype)

    def _looked_up(self, ids: Tensor) -> Float[Tensor, "*ids rows"]:
        """The sine of the looked-up columns of B A alone."""
        with torch.autocast(self.up.device.type, enabled=False):
            wide = torch.promote_types(self.dtype, torch.float32)
            columns = self.site.down(ids, self.down).to(wide)
            return self.gain * torch.sin(self.site.up(columns, self.omega * self.up.to(wide)))


def sine(
    down: Float[Tensor, "rank cols"], up: Float[Tensor, "rows rank"], omega: float
) -> Float[Tensor, "rows cols"]:
    """sin(omega B A), in float32 at least."""
    with torch.autocast(up.device.type, enabled=False):
        wide = torch.promote_types(down.dtype, torch.float32)
        return torch.sin((omega * up.to(wide)) @ down.to(wide))
