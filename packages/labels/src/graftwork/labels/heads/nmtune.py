"""The head of NMTune: features changed by two layers, then told apart by one."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.labels.head import Head


@config
class NMTuneHeadConfig:
    """Settings of NMTune's head."""

    residual: bool = False
    """Whether the change is added to the features, scaled, or takes their place."""

    scale: float = 1.0
    """Where the scale of the added change starts, one for each feature. With 0 the head starts as
    a linear probe."""


class NMTuneHead(Head):
    """Z = MLP(F), or F + s * MLP(F) with `residual`; logits = V Z + c  (Chen et al. 2024,
    arXiv:2309.17002).

    MLP: Linear(D, 4D), batch norm, ReLU, Linear(4D, D); s (D,) is learned. With `residual` it has
    8 D^2 + 14 D parameters besides V and c. The batch norm asks for two examples in a step.
    """

    def build(self, dims: int, settings: NMTuneHeadConfig) -> tuple[nn.Module, int]:
        """The MLP, which keeps the width."""
        return _Change(dims, settings), dims


class _Change(nn.Module):
    def __init__(self, dims: int, settings: NMTuneHeadConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dims, 4 * dims),
            nn.BatchNorm1d(4 * dims),
            nn.ReLU(),
            nn.Linear(4 * dims, dims),
        )
        start = torch.full((dims,), settings.scale)
        self.scale = nn.Parameter(start) if settings.residual else None

    def forward(self, features: Float[Tensor, "batch dims"]) -> Float[Tensor, "batch dims"]:
        if self.training and len(features) < 2:
            raise GraftworkError(
                "nmtune-head: its batch norm needs two examples in a step; raise train.batch"
            )
        change = self.layers(features)
        return change if self.scale is None else features + self.scale * change
