"""A classifier with one hidden layer."""

from typing import Annotated

from torch import nn

from graftwork.core.config import Ge, Lt, Search, config
from graftwork.labels.head import Head


@config
class MLPHeadConfig:
    """Settings of the MLP head."""

    hidden: Annotated[int, Ge(1), Search(64, 2048, log=True)] | None = None
    """Width of the hidden layer; absent for that of the features."""

    dropout: Annotated[float, Ge(0), Lt(1), Search(0.0, 0.5)] = 0.0
    """Chance that a hidden value is left out in training."""


class MLPHead(Head):
    """logits = V relu(A F + a) + c; Z is the hidden layer."""

    def build(self, dims: int, settings: MLPHeadConfig) -> tuple[nn.Module, int]:
        """The hidden layer."""
        width = settings.hidden or dims
        layers = nn.Sequential(nn.Linear(dims, width), nn.ReLU(), nn.Dropout(settings.dropout))
        return layers, width
