"""Adapters of every family, registered for these tests alone."""

import pytest
import torch
from torch import nn

from graftwork.core import AdapterSpec, hookimpl, plugins
from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import PluginManager
from graftwork.nn import ActivationAdapter, TokenAdapter, WeightAdapter


@config
class RankConfig:
    """Settings."""

    rank: int = 1
    """Rank."""


@config
class TokensConfig:
    """Settings."""

    tokens: int = 2
    """New tokens."""


class LowRank(WeightAdapter):
    """Additive, with a fast path."""

    additive = True

    def __init__(self, site, settings):
        super().__init__(site)
        if settings.rank > min(site.rows, site.cols):
            raise GraftworkError(f"rank: too large for '{site.name}'")
        self.down = nn.Parameter(torch.randn(settings.rank, site.cols))
        self.up = nn.Parameter(torch.randn(site.rows, settings.rank))

    def effective(self, weight):
        return weight + self.up @ self.down

    def forward(self, x, frozen):
        return frozen + self.site.up(self.site.down(x, self.down), self.up)


class SlowLowRank(LowRank):
    """Additive, without a fast path."""

    forward = WeightAdapter.forward


class Scale(WeightAdapter):
    """Depends on the weight; no fast path."""

    def __init__(self, site, settings):
        super().__init__(site)
        self.scale = nn.Parameter(torch.ones(site.rows, 1) + 0.1 * torch.randn(site.rows, 1))

    def effective(self, weight):
        return self.scale * weight


class FastScale(Scale):
    """Depends on the weight, with a fast path."""

    def forward(self, x, frozen):
        return self.site.channels(self.scale.flatten()) * frozen


class Gate(ActivationAdapter):
    """Depends on the input."""

    def __init__(self, site, settings):
        super().__init__(site)
        self.gain = nn.Parameter(0.3 * torch.ones(site.rows))

    def forward(self, x, frozen):
        return frozen + self.site.channels(self.gain) * torch.tanh(frozen)


class Vectors(TokenAdapter):
    """Learned tokens."""

    def __init__(self, site, settings):
        super().__init__(site)
        self.table = nn.Parameter(torch.randn(settings.tokens, site.rows))

    def vectors(self):
        return self.table


class Mistyped(Scale):
    """Its author mistook a name."""

    def effective(self, weight):
        return self.scael * weight


class Forgetful(Scale):
    """A buffer that is not saved."""

    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.register_buffer("offset", torch.zeros(1), persistent=False)


class Half(LowRank):
    """One factor is kept as it was drawn."""

    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.down.requires_grad_(False)


OFFERED = {
    "low-rank": (LowRank, "weight", RankConfig),
    "slow-low-rank": (SlowLowRank, "weight", RankConfig),
    "half": (Half, "weight", RankConfig),
    "scale": (Scale, "weight", None),
    "fast-scale": (FastScale, "weight", None),
    "mistyped": (Mistyped, "weight", None),
    "forgetful": (Forgetful, "weight", None),
    "gate": (Gate, "activation", None),
    "vectors": (Vectors, "token", TokensConfig),
}


class Offer:
    @hookimpl
    def adapters(self):
        return [
            AdapterSpec(
                name=name,
                target=f"{cls.__module__}:{cls.__name__}",
                config=settings,
                summary="a test's",
                family=family,
                mergeable=family == "weight",
            )
            for name, (cls, family, settings) in OFFERED.items()
        ]


@pytest.fixture(autouse=True)
def manager():
    """The installed plugins and the adapters above."""
    manager = PluginManager()
    manager.register(Offer(), "offer", distribution="graftwork-offer", version="1.0")
    with plugins.use(manager):
        yield manager


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
