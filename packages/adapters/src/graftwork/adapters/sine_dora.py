"""Sine-DoRA: DoRA's learned lengths around the direction that Sine-LoRA gives."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.adapters.frequency import FrequencyConfig
from graftwork.adapters.low_rank import refuse_rank
from graftwork.adapters.rank import RankConfig
from graftwork.adapters.sine import sine
from graftwork.adapters.sine_sum import SineSum
from graftwork.core.config import config
from graftwork.nn import Site, WeightAdapter
from graftwork.nn.product import plain_autograd


@config
class SineDoRAConfig(RankConfig, FrequencyConfig):
    """Settings of Sine-DoRA."""


class SineDoRA(WeightAdapter):
    """W' = (m / n) V, V = W + (alpha / r) sin(omega B A) / g, n = ||V|| by row, g = sqrt(cols).

    Ji et al. 2025, arXiv:2403.19243, over Liu et al. 2024, arXiv:2402.09353. Shapes: W and V
    (rows, cols), A (r, cols), B (rows, r), m and n (rows,). m starts at ||W|| and B at 0: W' = W.
    As in DoRA no gradient flows through n, and a row of zeros stays zero.

    This is our reading. The authors' code merges this weight, but takes the sine of activations
    while it trains, sin(omega B (A x) / g): another function, which no weight reproduces.
    """

    def __init__(self, site: Site, settings: SineDoRAConfig) -> None:
        super().__init__(site)
        refuse_rank(settings.rank, site)
        self.omega = settings.omega_at(site.name)
        self.gain = settings.scale / math.sqrt(site.cols)
        self.down = nn.Parameter(torch.empty(settings.rank, site.cols))
        """A."""
        self.up = nn.Parameter(torch.zeros(site.rows, settings.rank))
        """B."""
        self.magnitude = nn.Parameter(torch.ones(site.rows))
        """m."""
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    @classmethod
    def check(cls, settings: SineDoRAConfig, sites: Mapping[str, Site]) -> None:
        """Every pattern of `omega_by_site` decides for a site."""
        settings.check_patterns(sites)

    @torch.no_grad()
    def start(self, weight: Float[Tensor, "rows cols"]) -> None:
        """m = ||W|| by row."""
        self.magnitude.copy_(torch.linalg.vector_norm(weight, dim=1))

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """(m / n) (W + gain sin(omega B A))."""
        direction = self._direction(weight)
        length = torch.linalg.vector_norm(direction.detach(), dim=1)
        ratio = self.magnitude / length.clamp_min(torch.finfo(length.dtype).tiny ** 0.5)
        return ratio[:, None] * direction

    def _direction(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """V."""
        if plain_autograd():
            return weight + self.gain * sine(self.down, self.up, self.omega)
        direction: Tensor = SineSum.apply(weight, self.down, self.up, self.omega, self.gain)
        return direction
