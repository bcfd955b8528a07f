"""Ctrl-C and kill -9 in the middle of a fit and of a search; `graftwork resume` carries on.

The processes are real ones. What is compared is bytes: a run that was taken up again leaves the
adapter that an uninterrupted one leaves.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SECONDS = 120
STEPS, EVERY = 120, 20
# Slow enough that a trial outlives its killed driver by some seconds, as workers do.
PAUSE = {"GRAFTWORK_TEST_PAUSE": "0.08"}

LONG = {"train.steps": STEPS, "train.evaluate_every": EVERY, "train.checkpoint_every": 5}
SEARCH = {
    "over": ["optimizer.lr"],
    "metric": "redness",
    "trials": 3,
    "scheduler": "fifo",
    "concurrent": 1,
}

Start = Callable[..., "subprocess.Popen[str]"]


def _hear_interrupts() -> None:
    # A job in the background of a shell is deaf to Ctrl-C, and so would its children be.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def start(world: Any, tmp_path: Path) -> Iterator[Start]:
    """`start("fit", "run.toml")`: the installed script, in a process group of its own."""
    script = shutil.which("graftwork", path=str(Path(sys.executable).parent))
    started: list[subprocess.Popen[str]] = []

    def run(*words: object, **env: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [str(script), *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_hear_interrupts,
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | env,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait(what: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Until something is so, while a process runs."""
    for _ in range(SECONDS * 50):
        if what():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    pytest.fail("it did not come so far")


def finish(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, (out, err)
    return out


def steps(run: Path) -> list[int]:
    """The training steps in metrics.jsonl, a line that is being written left out."""
    path = run / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    records = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [record["step"] for record in records if "loss" in record]


def assert_whole(run: Path) -> None:
    """Every step once and in order, every evaluation once, an outcome, no leftovers."""
    assert steps(run) == list(range(1, STEPS + 1))
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evaluated = Counter(record["step"] for record in records if "metrics" in record)
    assert evaluated == dict.fromkeys(range(0, STEPS + 1, EVERY), 1)
    assert json.loads((run / "outcome.json").read_text())["status"] == "finished"
    assert not [path for path in run.rglob("*") if path.name.endswith(".tmp")]


def adapter(run: Path) -> bytes:
    return (run / "adapter" / "adapter.safetensors").read_bytes()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_fit_goes_on(start: Start, write_run: Any, tmp_path: Path, how: signal.Signals) -> None:
    path = write_run(LONG)
    finish(start("fit", path, "--out", "whole"))
    process = start("fit", path, "--out", "cut", **PAUSE)
    wait(lambda: len(steps(tmp_path / "cut")) > STEPS // 3, process)
    os.killpg(process.pid, how)
    out, err = process.communicate(timeout=SECONDS)
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "`graftwork resume cut` goes on" in out
        assert "Traceback" not in err
    reached = len(steps(tmp_path / "cut"))
    assert reached < STEPS
    finish(start("resume", "cut"))
    assert_whole(tmp_path / "cut")
    assert adapter(tmp_path / "cut") == adapter(tmp_path / "whole")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_search_goes_on(
    start: Start, write_run: Any, tmp_path: Path, how: signal.Signals
) -> None:
    folder = tmp_path / "found"
    process = start("tune", write_run({**LONG, "search": SEARCH}), "--out", "found", **PAUSE)
    first, second, third = (folder / "trials" / f"0000{number}" for number in range(3))
    wait(lambda: len(steps(second)) > STEPS // 3, process)
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # a terminal sends it to the whole group
        out, err = process.communicate(timeout=SECONDS)
        assert process.returncode == 130, (out, err)
        assert "`graftwork resume found` goes on" in out
        assert "Traceback" not in err
    else:
        process.kill()
        process.communicate()
    kept, started = adapter(first), (first / "metrics.jsonl").read_text()
    begun = (second / "metrics.jsonl").read_text().splitlines()[:EVERY]
    assert len(steps(second)) < STEPS
    assert not third.exists()

    out = finish(start("resume", "found"))
    assert "best run: found/best" in out
    assert adapter(first) == kept
    assert (first / "metrics.jsonl").read_text() == started, "a finished trial was trained again"
    for trial in (first, second, third):
        assert_whole(trial)
    # With the times that steps took, no two trainings write the same lines.
    assert (second / "metrics.jsonl").read_text().splitlines()[:EVERY] == begun, "it began again"
    board = json.loads((folder / "leaderboard.json").read_text())
    assert [trial["status"] for trial in board["trials"]] == ["finished"] * 3
    assert (folder / "report.html").is_file()
    assert sorted(path.name for path in (folder / "trials").iterdir()) == [
        "00000",
        "00001",
        "00002",
    ]

    # The one that was cut is the one that an uninterrupted fit of its file makes.
    finish(start("fit", second / "run.toml", "--out", "alone"))
    assert adapter(tmp_path / "alone") == adapter(second)


def test_a_search_that_was_cut_at_its_start_begins(
    start: Start, write_run: Any, tmp_path: Path
) -> None:
    short = {"train.steps": 2, "search": SEARCH | {"trials": 1}}
    process = start("tune", write_run(short), "--out", "found")
    wait((tmp_path / "found" / "run.toml").exists, process)
    process.kill()
    process.communicate()
    assert "best run: found/best" in finish(start("resume", "found"))
