"""What stops poor trials early. Time is counted in optimiser steps."""

from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)

from graftwork.core.errors import GraftworkError
from graftwork.train.adapter_tables import LR
from graftwork.train.runfile import RunFile
from graftwork.tune.space import Choices, Interval, Range

STEP = "step"


def asha(file: RunFile, space: Mapping[str, Range], every: int) -> TrialScheduler:
    """Asynchronous successive halving (Li et al. 2020, arXiv:1810.05934): halves at each rung."""
    return ASHAScheduler(
        time_attr=STEP,
        max_t=file.train.steps,
        grace_period=min(every, file.train.steps),
        reduction_factor=2,
    )


def hyperband(file: RunFile, space: Mapping[str, Range], every: int) -> TrialScheduler:
    """HyperBand (Li et al. 2018, arXiv:1603.06560)."""
    return HyperBandScheduler(time_attr="training_iteration", max_t=-(-file.train.steps // every))


def median(file: RunFile, space: Mapping[str, Range], every: int) -> TrialScheduler:
    """Stops a trial whose best result is below the median of running averages (Vizier)."""
    return MedianStoppingRule(time_attr=STEP, grace_period=every)


def fifo(file: RunFile, space: Mapping[str, Range], every: int) -> TrialScheduler:
    """Every trial runs to its end."""
    return FIFOScheduler()


def pbt(file: RunFile, space: Mapping[str, Range], every: int) -> TrialScheduler:
    """Population-based training (Jaderberg et al. 2017, arXiv:1711.09846).

    Changes settings in the middle of training, so only those of the optimiser, the learning rates
    of single adapters and the losses' weights can vary: a checkpoint fits no adapter of another
    shape.
    """
    for name in space:
        rate = name.startswith("adapter.") and name.endswith(f".{LR}")
        if not rate and not name.startswith(("optimizer.", "loss.")):
            raise GraftworkError(
                f"{file.name}: search.scheduler: pbt changes settings while training and '{name}' "
                "fixes the adapter's shape; take it out of search.over or use asha"
            )
    return PopulationBasedTraining(
        time_attr=STEP,
        perturbation_interval=every,
        hyperparam_mutations={name: _mutations(range_) for name, range_ in space.items()},
        custom_explore_fn=None,
    )


def _mutations(range_: Range) -> Any:
    if isinstance(range_, Choices):
        return list(range_.values)
    assert isinstance(range_, Interval)
    low, high = float(range_.low), float(range_.high)
    return tune.loguniform(low, high) if range_.log else tune.uniform(low, high)
