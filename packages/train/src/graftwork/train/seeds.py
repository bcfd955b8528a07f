"""Randomness without state: every draw of step k follows from the run's seed and k alone.

So a resumed run needs no saved generator to be the uninterrupted one, bit for bit.
"""

import zlib
from collections.abc import Sequence
from functools import lru_cache

import torch


def derive(seed: int, *parts: object) -> int:
    """A 32-bit seed for one purpose, such as ("step", 17)."""
    return zlib.crc32("/".join(map(str, (seed, *parts))).encode())


def step_generator(seed: int, step: int, process: int) -> torch.Generator:
    """Seed torch's global generators for one step, and return a CPU generator of its own."""
    torch.manual_seed(derive(seed, "dropout", step, process))
    return torch.Generator().manual_seed(derive(seed, "step", step, process))


def batch_indices(
    seed: int, step: int, *, size: int, batch: int, process: int = 0, processes: int = 1
) -> Sequence[int]:
    """The examples of one step: consecutive slices of a fresh shuffle for every pass.

    Args:
        seed: the run's seed.
        step: the step, from 0.
        size: number of examples in the data set.
        batch: examples for each process; more than `size` repeats examples.
        process: rank of this process.
        processes: number of processes.
    """
    first = (step * processes + process) * batch
    return [_shuffled(seed, k // size, size)[k % size] for k in range(first, first + batch)]


@lru_cache(maxsize=2)
def _shuffled(seed: int, epoch: int, size: int) -> list[int]:
    generator = torch.Generator().manual_seed(derive(seed, "epoch", epoch))
    order: list[int] = torch.randperm(size, generator=generator).tolist()
    return order
