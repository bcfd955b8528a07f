"""Searches on a local Ray, in the toy world: every searcher and every scheduler, and what is left.

One Ray serves the whole file; each search takes seconds.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graftwork.core.errors import GraftworkError
from graftwork.core.versions import environment
from graftwork.train import runfile
from graftwork.train.run import Run

STEPS = 8
SHORT = {"train.steps": STEPS, "train.evaluate_every": 2, "train.checkpoint_every": 1}
RATES = {"low": 1e-3, "high": 1e-1, "log": True}


@pytest.fixture(scope="module", autouse=True)
def _ray(site: Path) -> Iterator[None]:
    """Two workers at a time, which find the toy world."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        patch.setenv("OMP_NUM_THREADS", "1")
        ray.shutdown()  # that of a search in another module, with workers that find no toy world
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture
def tune(graftwork: Any, write_run: Any, tmp_path: Path) -> Any:
    """`tune({"over": ...})`: a search that must succeed; its folder."""

    def run(search: dict[str, Any], changes: dict[str, Any] | None = None) -> Path:
        table = {"metric": "redness", "trials": 4, **search}
        path = write_run({**SHORT, "search": table} | (changes or {}))
        said = graftwork("tune", path, "--out", tmp_path / "found")
        assert said.status == 0, said
        return tmp_path / "found"

    return run


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def adapter(run: Path) -> bytes:
    return (run / "adapter" / "adapter.safetensors").read_bytes()


def checked_leaderboard(folder: Path, trials: int) -> dict[str, Any]:
    """The leaderboard, held against what the trials themselves have written."""
    board: dict[str, Any] = json.loads((folder / "leaderboard.json").read_text())
    assert len(board["trials"]) == trials == len(list((folder / "trials").iterdir()))
    for row in board["trials"]:
        run = Run.open(folder / row["folder"])
        outcome = run.outcome()
        assert outcome is not None
        assert row["status"] == outcome["status"]
        if row["status"] == "failed":
            continue
        last = run.evaluations()[-1]
        assert (row["step"], row["value"]) == (last["step"], last["metrics"]["redness"])
        assert row["before"] == run.evaluations()[0]["metrics"]
        table = run.file.table()
        assert row["settings"]["optimizer.lr"] == table["optimizer"]["lr"]
        steps = [record["step"] for record in run.history() if "loss" in record]
        assert steps == list(range(1, row["step"] + 1))
    finished = [row for row in board["trials"] if row["status"] == "finished"]
    assert finished, "no trial came to its end"
    assert all(row["step"] == STEPS for row in finished)
    values = [row["value"] for row in finished]
    assert values == sorted(values, reverse=True)
    assert board["trials"][: len(finished)] == finished, "the finished ones stand first"
    assert board["best"] == finished[0]["id"]
    return board


def test_asha_and_what_a_search_leaves(tune: Any, graftwork: Any, tmp_path: Path) -> None:
    over = ["adapter.kind", "adapter.rank", "optimizer.lr", "loss.toy-preserve.weight"]
    space = {
        "adapter.kind": ["toy-lora", "lora", "ia3"],
        "adapter.rank": [1, 2],
        "optimizer.lr": RATES,
        "loss.toy-preserve.weight": [0.0, 2.0],
    }
    folder = tune({"over": over, "space": space, "scheduler": "asha", "trials": 6})
    board = checked_leaderboard(folder, 6)
    assert {row["status"] for row in board["trials"]} <= {"finished", "stopped"}

    best = folder / "best"
    assert {path.name for path in best.iterdir()} >= {
        "run.toml",
        "environment.json",
        "metrics.jsonl",
        "adapter",
        "samples",
        "outcome.json",
        "report.html",
    }
    assert adapter(best) == adapter(folder / "trials" / board["best"])
    assert graftwork("sample", best, "--seeds", 1, "--out", tmp_path / "drawn").status == 0

    # A trial is a fit: alone, from its own file, it comes out the same.
    alone = graftwork("fit", best / "run.toml", "--out", tmp_path / "alone")
    assert alone.status == 0, alone
    assert adapter(tmp_path / "alone") == adapter(best)

    page = (folder / "report.html").read_text()
    assert not re.findall(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=[\"'](?!data:|#)", page)
    assert "@import" not in page
    assert not re.search(r"url\([\"']?https?:", page)

    # A search that is over has nothing left to do.
    before = tree(folder / "trials")
    said = graftwork("resume", folder)
    assert said.status == 0, said
    assert tree(folder / "trials") == before


def test_a_grid_and_a_trial_that_diverges(tune: Any) -> None:
    space = {"optimizer.lr": [1e-2, 1e30], "adapter.rank": [1, 2]}
    over = ["optimizer.lr", "adapter.rank"]
    folder = tune({"over": over, "space": space, "searcher": "grid", "scheduler": "fifo"})
    board = checked_leaderboard(folder, 4)
    pairs = {tuple(row["settings"][name] for name in over) for row in board["trials"]}
    assert pairs == {(1e-2, 1), (1e-2, 2), (1e30, 1), (1e30, 2)}
    for row in board["trials"]:
        wrong = row["settings"]["optimizer.lr"] == 1e30
        assert row["status"] == ("failed" if wrong else "finished")
        assert ("lower optimizer.lr" in row["reason"]) is wrong
    assert "lower optimizer.lr" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("scheduler", "searcher"), [("hyperband", "random"), ("median", "optuna"), ("fifo", "optuna")]
)
def test_schedulers_and_searchers(tune: Any, scheduler: str, searcher: str) -> None:
    over, space = ["adapter.rank", "optimizer.lr"], {"adapter.rank": [1, 2]}
    folder = tune({"over": over, "space": space, "scheduler": scheduler, "searcher": searcher})
    board = checked_leaderboard(folder, 4)
    assert {row["status"] for row in board["trials"]} <= {"finished", "stopped"}


def test_population_based_training(tune: Any) -> None:
    search = {"over": ["optimizer.lr"], "space": {"optimizer.lr": RATES}, "scheduler": "pbt"}
    folder = tune(search)
    board = checked_leaderboard(folder, 4)
    assert [row["status"] for row in board["trials"]] == ["finished"] * 4


def test_less_is_better(tune: Any) -> None:
    search = {"over": ["optimizer.lr"], "mode": "min", "scheduler": "fifo", "trials": 3}
    folder = tune(search)
    board = json.loads((folder / "leaderboard.json").read_text())
    values = [row["value"] for row in board["trials"]]
    assert values == sorted(values)
    assert board["best"] == board["trials"][0]["id"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"search.metric": "rednes"}, "search.metric: no metric reports 'rednes'; did you mean"),
        ({"adapter.sites": ["midle"]}, "adapter.sites: 'midle' matches no site"),
        ({"optimizer.lr": 1e30}, "lower optimizer.lr"),
    ],
)
def test_a_search_in_which_every_trial_fails(
    graftwork: Any, write_run: Any, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    search = {"over": ["adapter.rank"], "space": {"adapter.rank": [1, 2]}, "metric": "redness"}
    path = write_run({**SHORT, "search": search | {"trials": 2}} | changes)
    said = graftwork("tune", path, "--out", tmp_path / "found")
    assert said.status == 2
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert "no trial finished; the first said: " in said.err
    assert says in said.err
    assert "Traceback" not in said.out + said.err
    assert (tmp_path / "found" / "report.html").is_file()


# -- One trial, as Ray drives it ------------------------------------------------------------------


@pytest.fixture
def trial(world: Any, write_run: Any, tmp_path: Path) -> Any:
    """`trial()`: a fresh worker for the one trial of this folder, as after a crash."""
    from ray.tune import with_parameters

    from graftwork.tune.trial import Trial

    search = {"over": ["optimizer.lr"], "metric": "redness"}
    file = runfile.read(write_run({**SHORT, "train.keep": 9, "search": search}))

    def make(lr: float = 0.01, versions: dict[str, str] | None = None) -> Any:
        task = {
            "name": "run.toml",
            "document": file.table(),
            "folder": str(tmp_path),
            "versions": versions or environment(),
        }
        made = with_parameters(Trial, task=json.dumps(task))
        return made({"optimizer.lr": lr})

    return make


def run_of(tmp_path: Path) -> Run:
    (folder,) = (tmp_path / "trials").iterdir()
    return Run.open(folder)


def trained_steps(run: Run) -> list[int]:
    return [record["step"] for record in run.history() if "loss" in record]


def last_result(worker: Any) -> dict[str, Any]:
    while not (result := worker.train())["done"]:
        pass
    worker.stop()
    return dict(result)


def test_a_trial_goes_on_from_an_older_checkpoint(trial: Any, tmp_path: Path) -> None:
    """Ray's newest checkpoint may be behind the run's own."""
    whole = trial()
    last_result(whole)
    run = run_of(tmp_path)
    expected = adapter(run.folder)
    run.folder.rename(tmp_path / "whole")

    first = trial()
    first.train()
    first.save(str(tmp_path / "saved"))
    first.train()
    first.train()
    first.stop()
    assert trained_steps(run) == list(range(1, 7))

    second = trial()
    second.restore(str(tmp_path / "saved"))
    last_result(second)
    assert trained_steps(run) == list(range(1, STEPS + 1))
    assert [record["step"] for record in run.evaluations()] == [0, 2, 4, 6, 8]
    assert adapter(run.folder) == expected


def test_a_trial_that_ray_saved_nothing_of_goes_on(trial: Any, tmp_path: Path) -> None:
    first = trial()
    first.train()
    first.stop()
    run = run_of(tmp_path)
    before = (run.folder / "metrics.jsonl").read_text()
    last_result(trial())
    assert (run.folder / "metrics.jsonl").read_text().startswith(before)
    assert trained_steps(run) == list(range(1, STEPS + 1))


def test_a_trial_that_ended_without_rays_knowledge_stays(trial: Any, tmp_path: Path) -> None:
    first = trial()
    first.train()
    first.save(str(tmp_path / "saved"))
    result = last_result(first)
    folder = run_of(tmp_path).folder
    before = tree(folder)
    second = trial()
    second.restore(str(tmp_path / "saved"))
    again = last_result(second)
    assert tree(folder) == before
    for name in ("redness", "kps", "step", "parameters"):
        assert again[name] == result[name]


def test_a_trial_that_ended_while_its_last_checkpoint_was_kept(trial: Any, tmp_path: Path) -> None:
    """Killed after the last evaluation, before the adapter was written."""
    first = trial()
    while not first.train()["done"]:
        pass
    first.save(str(tmp_path / "saved"))
    run = run_of(tmp_path)
    expected = adapter(run.folder)
    (run.folder / "outcome.json").unlink()
    (run.folder / "adapter" / "adapter.safetensors").unlink()
    second = trial()
    second.restore(str(tmp_path / "saved"))
    assert last_result(second)["step"] == STEPS
    assert adapter(run.folder) == expected


def test_a_trial_with_other_settings_begins_again(trial: Any, tmp_path: Path) -> None:
    first = trial(lr=0.01)
    first.train()
    first.stop()
    last_result(trial(lr=0.02))
    run = run_of(tmp_path)
    assert trained_steps(run) == list(range(1, STEPS + 1))
    assert {record["lr"] for record in run.history() if "lr" in record} == {0.02}
    assert run.file.optimizer.lr == 0.02


def test_a_worker_of_another_version_is_refused(trial: Any) -> None:
    here = environment()
    name = "graftwork-core"
    with pytest.raises(GraftworkError) as refused:
        trial(versions=here | {name: "0.0.7"})
    for word in (name, "0.0.7 on the driver", f"{here[name]} on a worker", "same versions"):
        assert word in str(refused.value)
    with pytest.raises(GraftworkError, match=r"graftwork-twist: 1\.0 on the driver and absent"):
        trial(versions=here | {"graftwork-twist": "1.0"})
