"""Searches over runs of several adapters: settings are addressed by the adapter's name."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from graftwork.core.errors import GraftworkError
from graftwork.train import runfile
from graftwork.train.overrides import get_value
from graftwork.train.run import Run
from graftwork.tune import schedulers
from graftwork.tune.leaderboard import read_leaderboard
from graftwork.tune.report import write_report
from graftwork.tune.space import Choices, Interval, search_space, trial_table

OVER = ["adapter.wide.rank", "adapter.toy-lora.lr", "optimizer.lr"]


@pytest.fixture
def document(document: dict[str, Any]) -> dict[str, Any]:
    """The toy search with two adapters."""
    document["adapter"] = [
        {"kind": "toy-lora", "rank": 1, "sites": "middle"},
        {"kind": "toy-lora", "name": "wide", "rank": 2},
    ]
    document["search"] |= {"over": list(OVER), "space": {"adapter.wide.rank": [1, 3]}}
    return document


def test_each_has_the_ranges_of_its_method_and_a_learning_rate(document: dict[str, Any]) -> None:
    document["search"]["over"].append("adapter.toy-lora.rank")
    assert search_space(runfile.check(document, name="run.toml")) == {
        "adapter.wide.rank": Choices((1, 3)),
        "adapter.toy-lora.lr": Interval(1e-5, 1e-2, log=True),
        "optimizer.lr": Interval(1e-5, 1e-2, log=True),
        "adapter.toy-lora.rank": Interval(1, 4),
    }


def test_a_trial_changes_the_one_that_is_named(document: dict[str, Any]) -> None:
    file = runfile.check(document, name="run.toml")
    table = trial_table(file, {"adapter.wide.rank": 3, "adapter.toy-lora.lr": 0.5})
    trial = runfile.check(table, name="trial")
    assert [one.settings.rank for one in trial.adapter] == [1, 3]
    assert [one.own.get("lr") for one in trial.adapter] == [0.5, None]
    assert trial.adapters["toy-lora"].own["sites"] == "middle"
    assert get_value(trial.table(), "adapter.wide.rank") == 3


def test_a_table_keeps_its_branch_in_a_search_over_methods(document: dict[str, Any]) -> None:
    document["adapter"] = {"kind": "toy-lora", "branch": "positive", "sites": "middle"}
    document["search"] |= {"over": ["adapter"], "space": {}}
    file = runfile.check(document, name="run.toml")
    own = {"branch": "positive", "sites": "middle"}
    for settings in ({"adapter": {"kind": "toy-lora", "rank": 3}}, {"adapter.rank": 3}):
        table = trial_table(file, settings)
        assert table["adapter"] == {"kind": "toy-lora", "rank": 3, **own}


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("adapter.kind", r"'adapter.kind' is for a single \[adapter\].* 'adapter.toy-lora.rank'"),
        ("adapter", r"'adapter' is for a single \[adapter\].* as 'adapter.toy-lora.rank'"),
        ("adapter.rank", r"'adapter.rank' is for a single \[adapter\]"),
        ("adapter.wied.rank", r"no \[\[adapter\]\] named 'wied'; did you mean 'wide'\?"),
        ("adapter.wide.rnak", r"'adapter.wide.rnak' is no setting; did you mean 'rank'\?"),
        ("adapter.wide.kind", r"'adapter.wide.kind' is no setting"),
    ],
)
def test_what_a_list_does_not_have(document: dict[str, Any], over: str, message: str) -> None:
    document["search"] |= {"over": [over], "space": {}}
    with pytest.raises(GraftworkError, match=message) as caught:
        search_space(runfile.check(document, name="run.toml"))
    assert "\n" not in str(caught.value)


def test_a_value_that_is_refused(document: dict[str, Any]) -> None:
    document["search"]["space"] = {"adapter.wide.rank": [0, 1]}
    with pytest.raises(GraftworkError, match=r"search.space: adapter.wide.rank: expected"):
        search_space(runfile.check(document, name="run.toml"))


def test_a_population_may_change_learning_rates(document: dict[str, Any]) -> None:
    file = runfile.check(document, name="run.toml")
    space = {name: Interval(1e-4, 1e-2) for name in ("adapter.wide.lr", "optimizer.lr")}
    assert isinstance(schedulers.pbt(file, space, 2), tune.schedulers.PopulationBasedTraining)
    with pytest.raises(GraftworkError, match=r"'adapter.wide.rank' fixes the adapter's shape"):
        schedulers.pbt(file, {"adapter.wide.rank": Choices((1, 2))}, 2)


def test_leaderboard_and_report(document: dict[str, Any], tmp_path: Path) -> None:
    file = runfile.check(document, name="run.toml")
    Run.create(tmp_path / "found", file)
    folder = tmp_path / "found"
    for name, rank in (("00000", 1), ("00001", 3)):
        table = trial_table(file, {"adapter.wide.rank": rank, "adapter.toy-lora.lr": 0.1 * rank})
        run = Run.create(folder / "trials" / name, runfile.check(table, name="run.toml"))
        run.log({"step": 0, "metrics": {"redness": 0.1, "kps": 1.0}})
        run.log({"step": 4, "seconds": 2.0, "loss": 1.0})
        run.log({"step": 4, "metrics": {"redness": 0.1 * rank, "kps": 1.0}})
        run.write_outcome({"status": "finished", "parameters": 12 * rank})
    board = read_leaderboard(folder, file, seconds=3.0)
    assert board.best == "00001"
    assert [row.settings["adapter.wide.rank"] for row in board.trials] == [3, 1]
    assert board.trials[0].settings["adapter.toy-lora.lr"] == pytest.approx(0.3)
    board.write(folder)
    shutil.copytree(folder / "trials" / "00001", folder / "best")
    page = write_report(folder).read_text()
    assert "toy-lora + toy-lora (wide) came first of 2 trials" in page
    assert "wide rank" in page
    assert "Redness against adapter.wide.rank" in page
    assert f"graftwork export {folder}/best/adapter/wide" in page
