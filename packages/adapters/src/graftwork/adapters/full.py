"""Full: a change as large as the weight itself."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.core.config import NoSettings
from graftwork.nn import Site, WeightAdapter


class Full(WeightAdapter):
    """W' = W + D, with D of the shape of W and zero at the start.

    Fine-tuning of the chosen layers alone, as an adapter: what the other methods approximate, the
    yardstick of a comparison, and the form in which a whole difference is read from a file.
    """

    additive = True

    def __init__(self, site: Site, settings: NoSettings) -> None:
        super().__init__(site)
        self.difference = nn.Parameter(torch.zeros(site.rows, site.cols))
        """D."""

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W + D."""
        return weight + self.difference
