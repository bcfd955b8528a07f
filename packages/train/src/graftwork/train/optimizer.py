"""The optimiser and its learning-rate schedule."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from graftwork.train.settings import OptimizerSettings, TrainSettings


def make_optimizer(
    parameters: Iterable[nn.Parameter], settings: OptimizerSettings
) -> torch.optim.AdamW:
    """AdamW over the adapter's parameters."""
    return torch.optim.AdamW(
        list(parameters),
        lr=settings.lr,
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
    )


def rate(step: int, settings: TrainSettings) -> float:
    """The fraction of the peak learning rate at a step, from 0.

    Linear warm-up, then constant, or cosine or linear decay to zero at the last step.
    """
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    if settings.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    if settings.schedule == "linear":
        return max(0.0, 1 - done)
    return 1.0
