"""What proposes the settings of the next trial."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.search.basic_variant import BasicVariantGenerator

from graftwork.core.errors import GraftworkError
from graftwork.train.settings import SearchSettings
from graftwork.tune.space import Choices, Interval, Range


@dataclass(frozen=True)
class Proposals:
    """A searcher in Ray's terms."""

    param_space: dict[str, Any]
    algorithm: Any
    draws: int
    """How many times Ray draws from the space."""
    combinations: int = 1
    """Trials of each draw; more than one where the space lists values to combine."""

    @property
    def trials(self) -> int:
        """Trials in all."""
        return self.draws * self.combinations


def random(space: Mapping[str, Range], search: SearchSettings, seed: int) -> Proposals:
    """Independent draws from the ranges."""
    return Proposals(_domains(space), _variants(search, seed), search.trials)


def grid(space: Mapping[str, Range], search: SearchSettings, seed: int) -> Proposals:
    """Every combination of listed values; `search.trials` must hold them all."""
    values: dict[str, tuple[Any, ...]] = {}
    for name, range_ in space.items():
        if not isinstance(range_, Choices):
            raise GraftworkError(
                f"search.searcher: grid needs values to combine; list them for '{name}' "
                "in [search.space]"
            )
        values[name] = range_.values
    count = len(list(itertools.product(*values.values())))
    if count > search.trials:
        raise GraftworkError(
            f"search.trials: the grid has {count} combinations and trials = {search.trials}; "
            "raise trials or list fewer values"
        )
    param_space = {name: tune.grid_search(list(listed)) for name, listed in values.items()}
    return Proposals(param_space, _variants(search, seed), 1, count)


def optuna(space: Mapping[str, Range], search: SearchSettings, seed: int) -> Proposals:
    """Tree-structured Parzen estimators (Bergstra et al. 2011), by Optuna."""
    from ray.tune.search.optuna import OptunaSearch

    algorithm = OptunaSearch(metric=search.metric, mode=search.mode, seed=seed)
    return Proposals(_domains(space), algorithm, search.trials)


def _variants(search: SearchSettings, seed: int) -> BasicVariantGenerator:
    # It has to be told itself: Tune's own limit passes it by.
    return BasicVariantGenerator(max_concurrent=search.concurrent or 0, random_state=seed)


def _domains(space: Mapping[str, Range]) -> dict[str, Any]:
    return {name: _domain(range_) for name, range_ in space.items()}


def _domain(range_: Range) -> Any:
    if isinstance(range_, Choices):
        return tune.choice(list(range_.values))
    assert isinstance(range_, Interval)
    if range_.integer:  # Ray leaves the upper end of whole numbers out
        first, after = int(range_.low), int(range_.high) + 1
        return tune.lograndint(first, after) if range_.log else tune.randint(first, after)
    low, high = float(range_.low), float(range_.high)
    return tune.loguniform(low, high) if range_.log else tune.uniform(low, high)
