"""Sine-DoRA: DoRA's learned lengths around the direction that Sine-LoRA gives."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.adapters.dropout import drops
from graftwork.adapters.frequency import FrequencyConfig
from graftwork.adapters.low_rank import LowRank, LowRankConfig
from graftwork.adapters.sine import sine
from graftwork.adapters.sine_sum import SineSum
from graftwork.core.config import config
from graftwork.nn import Site
from graftwork.nn.product import plain_autograd, product


@config
class SineDoRAConfig(LowRankConfig, FrequencyConfig):
    """Settings of Sine-DoRA."""


class SineDoRA(LowRank):
    """W' = (m / n) V, V = W + (alpha / r) sin(omega B A) / g, n = ||V|| by row, g = sqrt(cols).

    Ji et al. 2025, arXiv:2403.19243, over Liu et al. 2024, arXiv:2402.09353. Shapes: W and V
    (rows, cols), A (r, cols), B (rows, r), m and n (rows,). m starts at ||W|| and B at 0: W' = W.
    As in DoRA no gradient flows through n, and a row of zeros stays zero.

    This is our reading. The authors' code merges this weight, but takes the sine of activations
    while it trains, sin(omega B (A x) / g): another function, which no weight reproduces. Dropout
    is DoRA's, on the x that meets the change; the lengths n stay those of the whole V.
    """

    def __init__(self, site: Site, settings: SineDoRAConfig) -> None:
        super().__init__(site, settings)
        self.omega = settings.omega_at(site.name)
        self.gain = self.scale / math.sqrt(site.cols)
        self.magnitude = nn.Parameter(torch.ones(site.rows))
        """m."""

    @classmethod
    def check(cls, settings: SineDoRAConfig, sites: Mapping[str, Site]) -> None:
        """Every pattern of `omega_by_site` decides for a site, and each can have the rank."""
        super().check(settings, sites)
        settings.check_patterns(sites)

    @torch.no_grad()
    def start(self, weight: Float[Tensor, "rows cols"]) -> None:
        """m = ||W|| by row."""
        self.magnitude.copy_(torch.linalg.vector_norm(weight, dim=1))

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """(m / n) (W + gain sin(omega B A))."""
        direction = self._direction(weight)
        return self._ratio(direction)[:, None] * direction

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """W' x + b; under dropout the frozen product and that of the change apart."""
        site = self.site
        if site.kind == "embedding" or not drops(self.dropout):
            return super().product(x, bias)
        weight = site.weight()
        with torch.no_grad(), torch.autocast(weight.device.type, enabled=False):
            direction = self._direction(weight.to(torch.promote_types(weight.dtype, self.dtype)))
        frozen = site.apply(x, weight)
        change = product(site, self.dropped(x), self._change, (self.down, self.up))
        output = (frozen + change) * site.channels(self._ratio(direction))
        output = output.to(frozen.dtype)
        return output if bias is None else output + site.channels(bias).to(output.dtype)

    def _direction(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """V."""
        if plain_autograd():
            return weight + self.gain * sine(self.down, self.up, self.omega)
        direction: Tensor = SineSum.apply(weight, self.down, self.up, self.omega, self.gain)
        return direction

    def _ratio(self, direction: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows"]:
        """m / n, n above 0 also for a row of zeros."""
        length = torch.linalg.vector_norm(direction.detach(), dim=1)
        return self.magnitude / length.clamp_min(torch.finfo(length.dtype).tiny ** 0.5)

    def _change(self) -> Float[Tensor, "rows cols"]:
        change = self.gain * sine(self.down, self.up, self.omega)
        return change.to(self.site.frozen().dtype)
