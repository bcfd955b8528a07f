"""Fitting a weight change with an adapter, and the best that low rank can do."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from approximation.targets import Target
from graftwork.nn import graft

STEPS = 250


def fitted_error(
    target: Target, adapter: str, settings: Mapping[str, Any], *, lr: float, steps: int = STEPS
) -> float:
    """||W' - wanted|| / ||wanted - W|| after Adam with a cosine schedule; inf if it diverges."""
    rows, cols = target.weight.shape
    layer = nn.Linear(cols, rows, bias=False)
    layer.weight.data.copy_(target.weight)
    handle = graft(nn.Sequential(layer), adapter, settings, sites="0", seed=target.seed)
    change = handle.sites["0"]
    optimizer = torch.optim.Adam(handle.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    total = target.change.square().sum()
    for _ in range(steps):
        loss = (change.effective(target.weight) - target.wanted).square().sum() / total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        error = float((change.effective(target.weight) - target.wanted).square().sum() / total)
    return error**0.5 if error == error else float("inf")


def low_rank_error(target: Target, rank: int) -> float:
    """The relative error of the best change of a rank (Eckart and Young 1936)."""
    values = torch.linalg.svdvals(target.change)
    return float(values[rank:].norm() / values.norm())
