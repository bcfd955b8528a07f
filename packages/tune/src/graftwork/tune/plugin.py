"""What this distribution registers: the command `tune`, searchers and schedulers."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from graftwork.core import hookimpl
from graftwork.core.records import CommandSpec, SchedulerSpec, SearcherSpec

if TYPE_CHECKING:
    from graftwork.core.plugins import PluginManager


@hookimpl
def extend_hooks(manager: "PluginManager") -> None:
    """Add `search_progress`."""
    from graftwork.tune import hookspecs

    manager.add_hookspecs(hookspecs)


@hookimpl
def commands() -> Iterable[CommandSpec]:
    """tune."""
    yield CommandSpec(
        name="tune",
        target="graftwork.tune.command:tune",
        summary="search for the best adapter, loss and hyperparameters",
        example="graftwork tune examples/quickstart.toml",
    )


@hookimpl
def searchers() -> Iterable[SearcherSpec]:
    """random, grid, optuna."""
    for name, summary in {
        "random": "independent draws from the ranges",
        "grid": "every combination of listed values",
        "optuna": "tree-structured Parzen estimators, by Optuna",
    }.items():
        yield SearcherSpec(name=name, target=f"graftwork.tune.searchers:{name}", summary=summary)


@hookimpl
def schedulers() -> Iterable[SchedulerSpec]:
    """asha, hyperband, median, pbt, fifo."""
    for name, summary in {
        "asha": "stops the worse half of trials at every rung",
        "hyperband": "successive halving over several budgets",
        "median": "stops trials below the median of the others",
        "pbt": "copies and perturbs the best trials while training",
        "fifo": "runs every trial to its end",
    }.items():
        yield SchedulerSpec(name=name, target=f"graftwork.tune.schedulers:{name}", summary=summary)
