"""What the driver knows of a running search, handed to the hook `search_progress`."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ray.tune import Callback

from graftwork.core.plugins import manager
from graftwork.train.run import Run
from graftwork.tune.trial import short_id


@dataclass(frozen=True)
class TrialState:
    """One trial as last heard of."""

    id: str
    settings: Mapping[str, Any]
    status: str = "running"
    step: int = 0
    value: float | None = None


@dataclass(frozen=True)
class SearchState:
    """All trials as last heard of."""

    metric: str
    mode: str
    total: int
    steps: int
    """Steps of a full trial."""
    seconds: float
    trials: Mapping[str, TrialState] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return sum(trial.status != "running" for trial in self.trials.values())

    @property
    def best(self) -> TrialState | None:
        """The best trial so far."""
        valued = [trial for trial in self.trials.values() if trial.value is not None]
        sign = 1 if self.mode == "max" else -1
        return max(valued, key=lambda trial: sign * (trial.value or 0.0), default=None)


class Reporter(Callback):
    """Turns Ray's callbacks into `search_progress` calls, and records why trials ended."""

    def __init__(self, folder: Path, state: SearchState) -> None:
        self.folder = folder
        self.state = state
        self.started = time.monotonic() - state.seconds

    def get_state(self) -> dict[str, Any]:
        """What Ray saves with the search."""
        return {"state": self.state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what a resumed search knew; the clock is another one."""
        self.state = state["state"]
        self.started = time.monotonic() - self.state.seconds

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial got its worker."""
        self._update(trial, status="running")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial was evaluated."""
        self._update(trial, step=result["step"], value=result.get(self.state.metric))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial came to its end, or the scheduler stopped it."""
        run = Run.open(self.folder / "trials" / short_id(trial.trial_id))
        if run.outcome() is None:
            run.write_outcome(_stopped(run, trial.last_result))
        self._update(trial, status=(run.outcome() or {})["status"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial failed; an error that the run did not expect is recorded by its last line."""
        folder = self.folder / "trials" / short_id(trial.trial_id)
        if (folder / "run.toml").exists() and Run.open(folder).outcome() is None:
            lost = "its worker ended without a word; look for too little memory"
            text = Path(trial.error_file).read_text("utf-8") if trial.error_file else lost
            failed = {"status": "failed", "step": 0, "reason": reason(text)}
            Run.open(folder).write_outcome(failed)
        self._update(trial, status="failed")

    def _update(self, trial: Any, **changes: Any) -> None:
        name = short_id(trial.trial_id)
        known = self.state.trials.get(name) or TrialState(name, trial.evaluated_params)
        known = replace(known, **changes)
        seconds = time.monotonic() - self.started
        self.state = replace(self.state, seconds=seconds, trials={**self.state.trials, name: known})
        manager().hook.search_progress(state=self.state)


def reason(traceback: str) -> str:
    """The last line, without the type of our own errors."""
    return traceback.strip().splitlines()[-1].removeprefix("graftwork.core.errors.GraftworkError: ")


def _stopped(run: Run, result: Mapping[str, Any]) -> dict[str, Any]:
    evaluated = run.evaluations()
    return {
        "status": "stopped",
        "step": result["step"],
        "parameters": result["parameters"],
        "before": evaluated[0]["metrics"],
        "after": evaluated[-1]["metrics"],
    }
