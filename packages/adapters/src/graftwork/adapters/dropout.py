"""Dropout whose mask is drawn again for the backward pass, not kept."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

_LANES = 4  # 16-bit numbers in one draw of 64 bits
_LEVELS = 2**16


class Mask(NamedTuple):
    """Which elements to keep: the same for one seed, whenever it is drawn."""

    seed: int
    share: float
    """Share of the elements that are dropped, rounded to 1 / 65536."""

    def times(self, x: Tensor) -> Tensor:
        """x with the dropped elements at zero and the others enlarged, as `nn.Dropout` does."""
        generator = torch.Generator(x.device).manual_seed(self.seed)
        draws = torch.empty(-(-x.numel() // _LANES), dtype=torch.int64, device=x.device)
        draws.random_(-(2**63), None, generator=generator)
        numbers = draws.view(torch.int16)[: x.numel()].view(x.shape)
        dropped = round(self.share * _LEVELS)
        kept = numbers >= dropped - _LEVELS // 2
        return torch.where(kept, x, 0.0).mul_(_LEVELS / (_LEVELS - dropped))


def drawn(dropout: nn.Dropout) -> Mask | None:
    """The mask of one forward pass, its seed from torch's own generator; None out of training.

    Under gradient checkpointing torch restores that generator, so the same mask comes again.
    """
    if not dropout.training or dropout.p == 0.0:
        return None
    return Mask(int(torch.randint(2**63 - 1, ())), dropout.p)
