"""Every method of PEFT and LyCORIS that the bridges offer, through a run file and in a search.

Two steps each in the toy world, on its linear layer of 8 x 8.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("graftwork_peft")
pytest.importorskip("graftwork_lycoris")

from bridges.methods import methods, settings

KINDS = [method.kind for method in methods() if not method.broken]
SHORT = {"train.steps": 2, "train.checkpoint_every": 2}


def table(kind: str) -> dict[str, Any]:
    """The table [adapter] of a method."""
    return {"kind": kind, "sites": "middle", **settings(kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_from_a_run_file(graftwork: Any, write_run: Any, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "run"
    said = graftwork("fit", write_run({**SHORT, "adapter": table(kind)}), "--out", out)
    assert said.status == 0, said.err
    card = json.loads((out / "adapter" / "adapter.json").read_text())
    assert card["method"] == kind
    lines = (out / "metrics.jsonl").read_text().splitlines()
    steps = [one["step"] for one in map(json.loads, lines) if "loss" in one]
    assert steps == [1, 2]


@pytest.fixture
def _ray(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One worker, which finds the toy world."""
    import ray

    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    ray.shutdown()
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("_ray")
def test_a_search_over_two_of_them(graftwork: Any, write_run: Any, tmp_path: Path) -> None:
    kinds = ["peft/vera", "lycoris/lokr"]
    search = {
        "over": ["adapter"],
        "space": {"adapter": [table(kind) for kind in kinds]},
        "metric": "redness",
        "searcher": "grid",
        "trials": 2,
    }
    run = write_run({**SHORT, "train.evaluate_every": 2, "search": search})
    said = graftwork("tune", run, "--out", tmp_path / "found")
    assert said.status == 0, said.err
    board = json.loads((tmp_path / "found" / "leaderboard.json").read_text())
    assert [row["status"] for row in board["trials"]] == ["finished"] * 2
    cards = (tmp_path / "found" / "trials").glob("*/adapter/adapter.json")
    assert {json.loads(card.read_text())["method"] for card in cards} == set(kinds)
