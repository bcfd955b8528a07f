"""A linear layer that holds several projections of one input."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn


class PackedLinear(nn.Linear):
    """Projections of one input, one below the other: one product in place of several.

    `parts` tells the name and the rows of each, so that an adapter may sit on one alone.
    """

    def __init__(self, width: int, parts: Mapping[str, int]) -> None:
        super().__init__(width, sum(parts.values()))
        self.parts = dict(parts)

    def split(self, projected: Float[Tensor, "*batch features"]) -> tuple[Tensor, ...]:
        """The layer's output, cut into its parts."""
        return projected.split(list(self.parts.values()), -1)
