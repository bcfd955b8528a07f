"""Dropout whose mask is drawn again for the backward pass, or so small that it may be kept."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor, nn

_LANES = 4  # 16-bit numbers in one draw of 64 bits
_LEVELS = 2**16


class Mask(NamedTuple):
    """Which elements to keep: the same for one seed, whenever it is drawn."""

    seed: int
    share: float
    """Share of the elements that are dropped, rounded to 1 / 65536."""

    @property
    def gain(self) -> float:
        """What enlarges the elements that stay."""
        return _LEVELS / (_LEVELS - self._dropped)

    def kept(self, x: Shaped[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
        """Which elements of x stay."""
        generator = torch.Generator(x.device).manual_seed(self.seed)
        draws = torch.empty(-(-x.numel() // _LANES), dtype=torch.int64, device=x.device)
        draws.random_(-(2**63), None, generator=generator)
        numbers = draws.view(torch.int16)[: x.numel()].view(x.shape)
        return numbers >= self._dropped - _LEVELS // 2

    @property
    def _dropped(self) -> int:
        return round(self.share * _LEVELS)


def drawn(dropout: nn.Dropout) -> Mask | None:
    """The mask of one forward pass, its seed from torch's own generator; None out of training.

    Under gradient checkpointing torch restores that generator, so the same mask comes again.
    """
    if not drops(dropout):
        return None
    return Mask(int(torch.randint(2**63 - 1, ())), dropout.p)


def drops(dropout: nn.Dropout) -> bool:
    """Whether it acts: in training, at a share above 0."""
    return dropout.training and dropout.p > 0.0


def drawn_units(
    dropout: nn.Dropout, count: int, device: torch.device
) -> Bool[Tensor, "count"] | None:
    """Which of `count` rows or blocks stay in one forward pass; None out of training.

    A byte for each, which the backward pass keeps. Drawn on the CPU from torch's own generator,
    so alike on every device, and the same again under gradient checkpointing.
    """
    if not drops(dropout):
        return None
    return (torch.rand(count, device="cpu") >= dropout.p).to(device)
