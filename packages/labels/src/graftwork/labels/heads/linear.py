"""The linear probe."""

from typing import Any

from torch import nn

from graftwork.labels.head import Head


class LinearHead(Head):
    """logits = V F + c: a linear probe (Alain and Bengio 2016, arXiv:1610.01644)."""

    def build(self, dims: int, settings: Any) -> tuple[nn.Module, int]:
        """Features stay as they are."""
        return nn.Identity(), dims
