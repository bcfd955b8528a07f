"""Randomness without state: every draw of step k follows from the run's seed and k alone.

So a resumed run needs no saved generator to be the uninterrupted one, bit for bit.
"""

import math
import zlib
from collections.abc import Sequence
from functools import lru_cache

import torch

_WINDOW = 32
"""Batches among whose examples those of like size are sought."""
_SHADES = 4
"""Sizes between one and the double of it that count as different."""


def derive(seed: int, *parts: object) -> int:
    """A 32-bit seed for one purpose, such as ("step", 17)."""
    return zlib.crc32("/".join(map(str, (seed, *parts))).encode())


def step_generator(seed: int, step: int, process: int) -> torch.Generator:
    """Seed torch's global generators for one step, and return a CPU generator of its own."""
    torch.manual_seed(derive(seed, "dropout", step, process))
    return torch.Generator().manual_seed(derive(seed, "step", step, process))


def batch_indices(
    seed: int,
    step: int,
    *,
    size: int,
    batch: int,
    process: int = 0,
    processes: int = 1,
    lengths: tuple[int, ...] = (),
) -> Sequence[int]:
    """The examples of one step: consecutive slices of a fresh shuffle for every pass.

    With lengths, those of a step are of like length wherever a few dozen batches of the shuffle
    allow it; what is alike to a fifth stays shuffled.

    Args:
        seed: the run's seed.
        step: the step, from 0.
        size: number of examples in the data set.
        batch: examples for each process; more than `size` repeats examples.
        process: rank of this process.
        processes: number of processes.
        lengths: of every example; empty where all are alike.
    """
    first, wide = (step * processes + process) * batch, processes * batch
    orders = (_ordered(seed, k // size, size, wide, lengths) for k in range(first, first + batch))
    return [order[k % size] for k, order in zip(range(first, first + batch), orders, strict=True)]


@lru_cache(maxsize=2)
def _ordered(
    seed: int, epoch: int, size: int, batch: int, lengths: tuple[int, ...]
) -> Sequence[int]:
    generator = torch.Generator().manual_seed(derive(seed, "epoch", epoch))
    order: list[int] = torch.randperm(size, generator=generator).tolist()
    if not lengths:
        return order
    alike: list[int] = []
    for start in range(0, size, _WINDOW * batch):
        window = sorted(order[start : start + _WINDOW * batch], key=lambda k: _shade(lengths[k]))
        batches = [window[first : first + batch] for first in range(0, len(window), batch)]
        # What does not fill a batch stays at the end, or later batches would straddle two sizes.
        whole = [each for each in batches if len(each) == batch]
        for place in torch.randperm(len(whole), generator=generator).tolist():
            alike += whole[place]
        alike += [k for each in batches[len(whole) :] for k in each]
    return alike


def _shade(length: int) -> int:
    return round(_SHADES * math.log2(max(1, length)))
