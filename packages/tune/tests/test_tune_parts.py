"""Searchers, schedulers, versions and leaderboards, without a cluster."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from graftwork.core import registry
from graftwork.core.errors import GraftworkError
from graftwork.train import runfile
from graftwork.train.run import Run
from graftwork.tune import schedulers, searchers
from graftwork.tune.leaderboard import Row, pareto, read_leaderboard
from graftwork.tune.progress import SearchState, TrialState
from graftwork.tune.space import Choices, Interval
from graftwork.tune.trial import require_versions, short_id

SPACE = {"adapter.rank": Choices((1, 2)), "optimizer.lr": Choices((0.1, 0.2, 0.3))}


def test_random_draws_stay_in_their_ranges(document: dict[str, Any]) -> None:
    file = runfile.check(document, name="run.toml")
    assert file.search is not None
    space = {"n": Interval(1, 4), "x": Interval(0.1, 0.2), "l": Interval(1, 64, log=True)}
    proposals = searchers.random(space, file.search, seed=0)
    draws = {
        name: [domain.sample() for _ in range(300)]
        for name, domain in proposals.param_space.items()
    }
    assert set(draws["n"]) == {1, 2, 3, 4}, "both ends belong to the range"
    assert all(0.1 <= x <= 0.2 for x in draws["x"])
    assert min(draws["l"]) >= 1
    assert max(draws["l"]) <= 64
    assert sum(value <= 8 for value in draws["l"]) > 100, "log draws favour small values"
    assert proposals.trials == 4


def test_a_grid_must_fit_and_be_listed(document: dict[str, Any]) -> None:
    document["search"]["trials"] = 6
    search = runfile.check(document, name="run.toml").search
    assert search is not None
    proposals = searchers.grid(SPACE, search, seed=0)
    assert proposals.param_space["adapter.rank"] == tune.grid_search([1, 2])
    few = replace(search, trials=4)
    with pytest.raises(GraftworkError, match="6 combinations and trials = 4"):
        searchers.grid(SPACE, few, seed=0)
    with pytest.raises(GraftworkError, match="list them for 'x'"):
        searchers.grid({"x": Interval(0.0, 1.0)}, search, seed=0)


def test_every_scheduler_and_searcher_builds(document: dict[str, Any]) -> None:
    file = runfile.check(document, name="run.toml")
    space = {"optimizer.lr": Interval(1e-4, 1e-2, log=True)}
    for record in registry.records("schedulers"):
        assert isinstance(record.load()(file, space, 2), tune.schedulers.TrialScheduler)
    assert {record.name for record in registry.records("searchers")} == {"grid", "optuna", "random"}
    with pytest.raises(GraftworkError, match=r"pbt .* 'adapter.rank' fixes the adapter's shape"):
        schedulers.pbt(file, {"adapter.rank": Choices((1, 2))}, 2)


def test_a_worker_with_other_versions_is_refused() -> None:
    require_versions(
        {"python": "3.11", "graftwork-nn": "1"}, {"python": "3.11", "graftwork-nn": "1"}
    )
    with pytest.raises(GraftworkError, match="graftwork-nn: 1 on the driver and 2 on a worker"):
        require_versions({"graftwork-nn": "1"}, {"graftwork-nn": "2"})
    with pytest.raises(GraftworkError, match="my-plugin: 1 on the driver and absent on a worker"):
        require_versions({"my-plugin": "1"}, {})


def row(name: str, fidelity: float, kps: float) -> Row:
    return Row(
        id=name,
        folder=name,
        status="finished",
        settings={},
        step=1,
        value=fidelity,
        metrics={"fidelity": fidelity, "kps": kps},
        before={},
        parameters=1,
        seconds=1.0,
    )


def test_the_pareto_front_holds_what_nothing_beats() -> None:
    rows = [row("a", 0.9, 0.1), row("b", 0.5, 0.5), row("c", 0.4, 0.4), row("d", 0.1, 0.9)]
    assert pareto(rows, ["fidelity", "kps"], "max") == ["a", "b", "d"]
    assert pareto(rows, ["fidelity", "kps"], "min") == ["d"]
    assert pareto([*rows, row("e", 0.9, 0.1)], ["fidelity", "kps"], "max") == ["a", "b", "d", "e"]
    assert pareto(rows, ["fidelity"], "max") == []


def test_the_leaderboard_reads_the_trials(document: dict[str, Any], tmp_path: Path) -> None:
    file = runfile.check(document, name="run.toml")
    for name, status, value in (
        ("0", "finished", 0.3),
        ("1", "finished", 0.5),
        ("2", "stopped", 0.9),
    ):
        run = Run.create(tmp_path / "trials" / name, file.without_search())
        run.log({"step": 0, "metrics": {"redness": 0.1, "kps": 1.0}})
        run.log({"step": 4, "seconds": 2.0, "loss": 1.0})
        run.log({"step": 4, "metrics": {"redness": value, "kps": 1 - value}})
        run.write_outcome({"status": status, "parameters": 12})
    Run.create(tmp_path / "trials" / "3", file.without_search())
    board = read_leaderboard(tmp_path, file, seconds=3.0)
    assert [one.id for one in board.trials] == ["1", "0", "2", "3"], "stopped after finished"
    assert [one.status for one in board.trials][-1] == "unfinished"
    assert board.best == "1"
    assert board.trials[0].value == 0.5
    assert board.trials[0].seconds == 2.0
    assert board.trials[0].settings["adapter.rank"] == 2
    assert list(board.axes) == ["redness", "kps"]
    assert set(board.pareto) == {"0", "1", "2"}
    board.write(tmp_path)
    assert json.loads((tmp_path / "leaderboard.json").read_text())["best"] == "1"


def test_progress_knows_the_best_and_the_done() -> None:
    trials = {
        "0": TrialState("0", {}, status="finished", value=0.2),
        "1": TrialState("1", {}, value=0.6),
        "2": TrialState("2", {}),
    }
    state = SearchState("redness", "max", 3, 4, 1.0, trials)
    assert state.done == 1
    assert state.best is trials["1"]
    assert SearchState("loss", "min", 3, 4, 1.0, trials).best is trials["0"]
    assert SearchState("loss", "min", 3, 4, 1.0).best is None


def test_short_ids() -> None:
    assert short_id("d3f2a_00003") == "00003"
