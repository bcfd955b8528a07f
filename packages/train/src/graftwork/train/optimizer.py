"""The optimiser and its learning-rate schedule."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from graftwork.nn import Graft
from graftwork.train.settings import OptimizerSettings, TrainSettings


def make_optimizer(
    grafts: Mapping[str, Graft],
    settings: OptimizerSettings,
    *,
    rates: Mapping[str, float] | None = None,
) -> torch.optim.AdamW:
    """AdamW over all parameters of some grafts, without decay of those that adapters exempt.

    Args:
        grafts: the grafts, by name.
        settings: what holds for all of them.
        rates: peak learning rates of grafts that have one of their own.
    """
    # By name: a checkpoint, which numbers parameters, fits in whatever order a file has them.
    groups = [
        {**group, "lr": (rates or {}).get(name, settings.lr)}
        for name in sorted(grafts)
        for group in _groups(grafts[name])
    ]
    return torch.optim.AdamW(
        groups,
        lr=settings.lr,
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
    )


def _groups(handle: Graft) -> list[dict[str, Any]]:
    decayed: list[nn.Parameter] = []
    exempt: list[nn.Parameter] = []
    for adapter in handle.sites.values():
        for name, parameter in adapter.named_parameters():
            spared = name.partition(".")[0] in adapter.no_decay
            (exempt if spared else decayed).append(parameter)
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": exempt, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


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
