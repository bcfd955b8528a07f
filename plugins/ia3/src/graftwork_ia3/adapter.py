"""IA3: a learned scale for every output, or for every input."""

import fnmatch
from collections.abc import Mapping
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.core.config import Search, config
from graftwork.core.errors import GraftworkError
from graftwork.nn import Site, WeightAdapter


@config
class IA3Config:
    """Settings of IA3."""

    init: Annotated[float, Search(0.9, 1.1)] = 1.0
    """Scale before training; 1 leaves the backbone as it is."""

    feedforward: tuple[str, ...] = ()
    """Sites whose inputs are scaled in place of their outputs, by shell-style patterns over their
    dotted names: in the paper the second layer of each feed-forward block. Every pattern must
    match."""

    def scales_input(self, site: str) -> bool:
        """Whether the site of that name is one of `feedforward`."""
        return any(fnmatch.fnmatchcase(site, pattern) for pattern in self.feedforward)


class IA3(WeightAdapter):
    """W' = diag(s) W, or W' = W diag(s) at the sites of `feedforward`.

    Liu et al. 2022, arXiv:2205.05638, where s are l_k and l_v on what the layers of keys and values
    put out, and l_ff on what enters the last layer of a feed-forward block. A layer's bias stays as
    it is. Shapes: W (rows, cols), s (rows,) or (cols,). That an input of a convolution is a
    channel, with one scale for all places of the kernel, is our reading and PEFT's.
    """

    def __init__(self, site: Site, settings: IA3Config) -> None:
        super().__init__(site)
        self.of_input = settings.scales_input(site.name)
        shape = (1, channels(site)) if self.of_input else (site.rows, 1)
        self.scale = nn.Parameter(torch.full(shape, settings.init))
        """s, as a column for outputs and as a row for inputs."""

    @classmethod
    def check(cls, settings: IA3Config, sites: Mapping[str, Site]) -> None:
        """Every pattern of `feedforward` matches a site."""
        for pattern in settings.feedforward:
            if not fnmatch.filter(sites, pattern):
                raise GraftworkError(
                    f"adapter.feedforward: '{pattern}' matches none of the graft's sites, such as "
                    f"'{next(iter(sites))}'"
                )

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """diag(s) W, or W diag(s)."""
        if not self.of_input:
            return self.scale * weight
        by_channel = weight.view(len(weight), channels(self.site), -1)
        return (self.scale.unsqueeze(-1) * by_channel).view_as(weight)


def channels(site: Site) -> int:
    """The inputs of a layer: its columns, or the input channels of a convolution's group."""
    return site.frozen().shape[1] if site.kind.startswith("conv") else site.cols
