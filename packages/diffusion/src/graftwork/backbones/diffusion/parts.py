"""The adaptable parts of a pipeline under one roof."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from graftwork.backbones.diffusion.text import token_ids
from graftwork.nn import grafts


class Parts(nn.Module):
    """UNet and text encoder, frozen. The names of the children begin the names of sites.

    It is a `graftwork.nn.words.Reader`: learned words may start from words it has tokens for.
    """

    def __init__(self, *, unet: nn.Module, text_encoder: nn.Module, tokenizer: Any = None) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.unet = unet
        self.text_encoder = text_encoder
        self.requires_grad_(False).eval()

    def token_ids(self, text: str) -> list[int]:
        """Ids of a text's tokens, without those that mark its start, its end or padding."""
        return token_ids(self.tokenizer, text)

    @property
    def device(self) -> torch.device:
        """Where the UNet is."""
        return self._anchor.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the frozen weights."""
        return self._anchor.dtype

    @property
    def _anchor(self) -> torch.Tensor:
        # A bias is never adapted, so it tells the dtype of the backbone whatever is grafted.
        bias: torch.Tensor = self.unet.conv_in.bias  # type: ignore[union-attr, assignment]
        return bias

    def text_is_adapted(self) -> bool:
        """Whether a graft sits on the text encoder: embeddings then change as it trains."""
        return any(
            site.startswith("text_encoder.")
            for handle in grafts(self).values()
            for site in handle.sites
        )


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for the length of a `with` block: no dropout in adapters in training."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
