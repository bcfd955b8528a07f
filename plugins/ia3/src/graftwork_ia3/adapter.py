"""IA3: a learned scale for every output."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.core.config import Search, config
from graftwork.nn import Site, WeightAdapter


@config
class IA3Config:
    """Settings of IA3."""

    init: Annotated[float, Search(0.9, 1.1)] = 1.0
    """Scale before training; 1 leaves the backbone as it is."""


class IA3(WeightAdapter):
    """W' = diag(s) W  (Liu et al. 2022, arXiv:2205.05638)."""

    def __init__(self, site: Site, settings: IA3Config) -> None:
        super().__init__(site)
        self.scale = nn.Parameter(torch.full((site.rows, 1), settings.init))

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """diag(s) W."""
        return self.scale * weight
