"""Dropout whose mask is drawn again for the backward pass, or so small that it may be kept."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

_LANES = 8  # 8-bit numbers in one draw of 64 bits
_LEVELS = 2**8
_PARTS = 2**20


class Mask(NamedTuple):
    """Which elements to keep: the same for one seed, whenever it is drawn.

    An element is compared with 8 random bits, so what is dropped is a whole number of 256ths: the
    one below or the one above the share that is asked for, as the seed has it, and over many masks
    that share itself.
    """

    seed: int
    share: float
    """Share of the elements that are dropped, from 0 to below 1."""

    @property
    def gain(self) -> float:
        """What enlarges the elements that stay."""
        return _LEVELS / (_LEVELS - self._dropped)

    def kept(self, x: Shaped[Tensor, "*shape"], dtype: torch.dtype) -> Float[Tensor, "*shape"]:
        """1 for the elements of x that stay and 0 for the others, as numbers of a dtype.

        Booleans would take a quarter of the memory, but to make them and to multiply by them takes
        a CPU four times as long.
        """
        generator = torch.Generator(x.device).manual_seed(self.seed)
        draws = torch.empty(-(-x.numel() // _LANES), dtype=torch.int64, device=x.device)
        draws.random_(-(2**63), None, generator=generator)
        numbers = draws.view(torch.int8)[: x.numel()].view(x.shape)
        kept = torch.empty(x.shape, dtype=dtype, device=x.device)
        return torch.ge(numbers, self._dropped - _LEVELS // 2, out=kept)

    @property
    def _dropped(self) -> int:
        between = self.seed % _PARTS / _PARTS
        return min(int(self.share * _LEVELS + between), _LEVELS - 1)


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
