"""What the low-rank methods share: the two factors, their settings, and the check of the rank."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from graftwork.adapters.drawing import kaiming
from graftwork.adapters.dropout import drawn
from graftwork.adapters.low_rank_product import Change
from graftwork.core.config import Ge, Gt, Lt, Search, config
from graftwork.core.errors import GraftworkError
from graftwork.nn import Site, WeightAdapter
from graftwork.nn.product import plain_autograd


@config
class LowRankConfig:
    """Settings of a method with two factors A (rank x cols) and B (rows x rank)."""

    rank: Annotated[int, Ge(1), Search(2, 64, log=True)] = 8
    """r, the columns of B and rows of A. At most the smaller side of the smallest site, except in
    files of other tools, which are read as they are."""

    alpha: Annotated[float, Gt(0), Search(1, 64, log=True)] | None = None
    """Numerator of the change's scale alpha / rank. Left out it is the rank itself, so that the
    scale is 1 at every rank; PEFT's default is 8 at every rank."""

    dropout: Annotated[float, Ge(0), Lt(1), Search(0.0, 0.3)] = 0.0
    """Share of the input's features that the adapter, not the layer, drops in training. It has no
    effect on embeddings, whose input has no features, nor inside torch's attention, which shows
    adapters its weight alone."""

    @property
    def numerator(self) -> float:
        """`alpha`, or the rank where it is left out."""
        return float(self.rank) if self.alpha is None else self.alpha


class LowRank(WeightAdapter):
    """The factors A and B of a change that starts at B A = 0.

    A is drawn from U(-1, 1) / sqrt(cols); B is zero.
    """

    scale: float
    """What multiplies the change."""

    def __init__(self, site: Site, settings: LowRankConfig) -> None:
        super().__init__(site)
        self.down = kaiming(settings.rank, site.cols)
        """A."""
        self.up = nn.Parameter(torch.zeros(site.rows, settings.rank))
        """B."""
        self.scale = settings.numerator / settings.rank
        self.dropout = nn.Dropout(settings.dropout)

    @classmethod
    def check(cls, settings: Any, sites: Mapping[str, Site]) -> None:
        """A fresh graft has no rank above a site's; a file may, for other tools write such."""
        refuse_ranks(settings.rank, sites)

    def by_hand(self) -> bool:
        """Whether the hand-written gradients of a linear layer apply."""
        site = self.site
        plain = plain_autograd() or site.frozen().requires_grad or not torch.is_grad_enabled()
        return site.kind == "linear" and not plain

    def change(self, x: Tensor) -> Change:
        """What `LowRankProduct` has to know of one forward pass besides the factors."""
        low = torch.is_autocast_enabled(x.device.type)
        return Change(self.scale, drawn(self.dropout), low)

    def dropped(self, x: Tensor) -> Tensor:
        """The layer's input under dropout."""
        return self.dropout(x) if x.is_floating_point() else x


def refuse_ranks(rank: int, sites: Mapping[str, Site]) -> None:
    """Raise `GraftworkError` for the first site whose matrix cannot have that rank."""
    for site in sites.values():
        refuse_rank(rank, site)


def refuse_rank(rank: int, site: Site) -> None:
    """Raise `GraftworkError` when no matrix of the site's size has that rank."""
    largest = min(site.rows, site.cols)
    if rank > largest:
        raise GraftworkError(
            f"adapter.rank: {rank} is above what '{site.name}' ({site.rows} x {site.cols}) can "
            f"have; use at most {largest}, or leave the site out with '!{site.name}' in sites"
        )
