"""Fits: repeatable, resumable, honest about failure."""

import errno
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from graftwork.core import hookimpl
from graftwork.core.config import NoSettings
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import PluginManager
from graftwork.core.records import SinkSpec
from graftwork.core.sink import Sink
from graftwork.testing.toy import ToyLoss
from graftwork.train import fit as fits
from graftwork.train import runfile
from graftwork.train.checkpoint import all_checkpoints
from graftwork.train.run import Run
from graftwork.train.runfile import Chosen, RunFile
from graftwork.train.session import open_session
from graftwork.train.trainer import Trainer


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter" / "adapter.safetensors")


def assert_same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_fit_leaves_a_complete_run_folder(file: RunFile, tmp_path: Path) -> None:
    run = fits.fit(file, tmp_path / "run")
    names = {path.name for path in run.folder.iterdir()}
    assert names >= {"run.toml", "environment.json", "metrics.jsonl", "adapter", "outcome.json"}
    outcome = run.outcome()
    assert outcome is not None
    assert outcome["status"] == "finished"
    assert outcome["before"]["kps"] == 1.0, "a fresh adapter must not change a picture"
    assert outcome["after"]["kps"] < 1.0
    steps = [record["step"] for record in run.history() if "loss" in record]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert [record["step"] for record in run.evaluations()] == [0, 3, 6]
    assert {path.name for path in run.samples.glob("*.png")} == {
        "adapted.png",
        "frozen.png",
        "reference.png",
    }
    assert [path.name for path in all_checkpoints(run.checkpoints)] == ["step-000006"]


def test_two_fits_are_equal_bit_for_bit(file: RunFile, tmp_path: Path) -> None:
    for name in "ab":
        fits.fit(file, tmp_path / name)
    assert_same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    other = fits.fit(replace(file, seed=4), tmp_path / "c")
    assert not torch.equal(weights(tmp_path / "a")["middle.up"], weights(other.folder)["middle.up"])


@pytest.mark.parametrize("stop_at", [3, 4, 5])
def test_an_interrupted_run_resumes_bit_for_bit(
    file: RunFile, tmp_path: Path, stop_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between checkpoints (every 2 and at evaluations), the end is the same."""
    fits.fit(file, tmp_path / "whole")
    ordinary = Trainer.step

    def dying(self: Trainer, step: int) -> dict[str, float]:
        if step == stop_at:
            raise KeyboardInterrupt
        return ordinary(self, step)

    monkeypatch.setattr(Trainer, "step", dying)
    with pytest.raises(KeyboardInterrupt):
        fits.fit(file, tmp_path / "cut")
    monkeypatch.undo()
    run = fits.resume(tmp_path / "cut")
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    whole = Run.open(tmp_path / "whole")
    assert _without_time(run.history()) == _without_time(whole.history())


def _without_time(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in record.items() if k != "seconds"} for record in history]


def test_a_finished_run_is_left_as_it_is(file: RunFile, tmp_path: Path) -> None:
    run = fits.fit(file, tmp_path / "run")
    before = (run.folder / "metrics.jsonl").read_bytes()
    fits.resume(run.folder)
    assert (run.folder / "metrics.jsonl").read_bytes() == before


def test_a_crash_between_the_last_step_and_the_outcome_is_mended(
    file: RunFile, tmp_path: Path
) -> None:
    run = fits.fit(file, tmp_path / "run")
    (run.folder / "outcome.json").unlink()
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    (run.folder / "metrics.jsonl").write_text("\n".join(lines[:-1]) + '\n{"step": 6, "metr')
    outcome = fits.resume(run.folder).outcome()
    assert outcome is not None
    assert outcome["after"] == json.loads(lines[-1])["metrics"]


def test_a_loss_that_is_not_finite_stops_the_run_and_says_why(
    file: RunFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        ToyLoss, "__call__", lambda self, step: step.prediction.sum() * float("nan")
    )
    with pytest.raises(GraftworkError, match=r"step 1: loss is nan; lower optimizer.lr"):
        fits.fit(file, tmp_path / "run")
    outcome = Run.open(tmp_path / "run").outcome()
    assert outcome is not None
    assert outcome["status"] == "failed"
    assert not (tmp_path / "run" / "adapter").exists()


def test_an_adapter_that_does_not_move_is_an_error(
    file: RunFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "step", lambda self, step: {"loss": 1.0})
    with pytest.raises(GraftworkError, match="no parameter of the adapter moved"):
        fits.fit(file, tmp_path / "run")


def test_bad_settings_leave_no_folder(file: RunFile, tmp_path: Path) -> None:
    wrong = replace(file, adapter=(replace(file.adapter[0], own={"sites": "*.nowhere"}),))
    with pytest.raises(
        GraftworkError, match=r"run.toml: adapter.sites: .*nowhere.* matches no site"
    ):
        fits.fit(wrong, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_refused_before_any_work(
    file: RunFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    monkeypatch.setattr(fits, "open_session", lambda *a, **k: pytest.fail("work was done"))
    with pytest.raises(GraftworkError, match="exists already"):
        fits.fit(file, tmp_path / "run")
    with pytest.raises(GraftworkError, match="cannot be written to"):
        fits.fit(file, tmp_path / "run" / "mine.txt" / "run")


def test_a_full_disk_is_one_clear_error(
    file: RunFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Run, record: Mapping[str, Any]) -> None:
        from graftwork.core import atomic

        with atomic.told(self.folder / "metrics.jsonl"):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Run, "log", full)
    with pytest.raises(GraftworkError, match="No space left on device"):
        fits.fit(file, tmp_path / "run")


def test_a_loss_of_weight_zero_is_as_if_absent(file: RunFile, tmp_path: Path) -> None:
    preserve = replace(file.loss[1], own={"weight": 0.0})
    with_zero = fits.fit(replace(file, loss=(file.loss[0], preserve)), tmp_path / "zero")
    without = fits.fit(replace(file, loss=file.loss[:1]), tmp_path / "without")
    assert_same(weights(with_zero.folder), weights(without.folder))


def test_gradient_clipping_and_warm_up_act(file: RunFile) -> None:
    train = replace(file.train, gradient_clip=1e-3, warmup=4, schedule="linear")
    trainer = Trainer(open_session(replace(file, train=train)))
    logs = [trainer.step(step) for step in range(6)]
    assert [round(log["lr"] / 0.02, 3) for log in logs] == [0.25, 0.5, 0.75, 1.0, 1.0, 0.5]
    assert all(log["gradient_norm"] > 1e-3 for log in logs)


def test_hooks_hear_of_everything(file: RunFile, tmp_path: Path, manager: PluginManager) -> None:
    heard: list[str] = []

    class Listener:
        @hookimpl
        def before_fit(self, run: Run) -> None:
            heard.append("before_fit")

        @hookimpl
        def after_step(self, step: int) -> None:
            heard.append(f"step {step}")

        @hookimpl
        def after_eval(self, step: int, metrics: Mapping[str, float]) -> None:
            heard.append(f"eval {step}")

        @hookimpl
        def after_fit(self, outcome: Mapping[str, Any]) -> None:
            heard.append(outcome["status"])

    manager.register(Listener(), "listener")
    fits.fit(file, tmp_path / "run")
    assert heard == [
        "before_fit",
        "eval 0",
        "step 1",
        "step 2",
        "step 3",
        "eval 3",
        "step 4",
        "step 5",
        "step 6",
        "eval 6",
        "finished",
    ]


def test_a_checkpoint_of_another_adapter_is_refused(file: RunFile, tmp_path: Path) -> None:
    run = fits.fit(file, tmp_path / "run")
    (run.folder / "outcome.json").unlink()
    text = (run.folder / "run.toml").read_text().replace("rank = 2", "rank = 1")
    (run.folder / "run.toml").write_text(text)
    with pytest.raises(GraftworkError, match="shape"):
        fits.resume(run.folder)


def test_a_truncated_checkpoint_is_named(file: RunFile, tmp_path: Path) -> None:
    run = fits.fit(file, tmp_path / "run")
    (run.folder / "outcome.json").unlink()
    optimizer = run.checkpoint(6) / "optimizer.safetensors"
    optimizer.write_bytes(optimizer.read_bytes()[:40])
    with pytest.raises(GraftworkError, match="not a whole checkpoint"):
        fits.resume(run.folder)


def test_something_that_is_no_run_is_not_resumed(tmp_path: Path) -> None:
    with pytest.raises(GraftworkError, match="no such run folder"):
        fits.resume(tmp_path / "none")
    with pytest.raises(GraftworkError, match="not a run folder"):
        fits.resume(tmp_path)


def test_sinks_get_every_number(file: RunFile, tmp_path: Path, manager: PluginManager) -> None:
    heard: list[Any] = []

    class Listener(Sink):
        def open(self, folder: Path) -> None:
            heard.append(folder.name)

        def write(self, step: int, values: Mapping[str, float]) -> None:
            heard.append((step, sorted(values)[0]))

        def close(self) -> None:
            heard.append("closed")

    class Ears(SinkSpec):
        def load(self) -> type[Listener]:
            return Listener

    record = Ears(name="ears", target="nowhere:Listener", summary="remembers what it hears")
    sink = Chosen(record=record, settings=NoSettings(), own={})
    fits.fit(replace(file, sink=(sink,)), tmp_path / "run")
    assert heard[0] == "run"
    assert heard[-1] == "closed"
    assert [step for step, _ in heard[1:-1]] == [0, 1, 2, 3, 3, 4, 5, 6, 6]
    assert (6, "kps") in heard


def test_a_tracker_writes_into_the_run_folder(document: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    document["sink"] = [{"kind": "tracker", "to": "tensorboard"}]
    document["train"]["steps"] = 2
    run = fits.fit(runfile.check(document, name="run.toml"), tmp_path / "run")
    events = list((run.folder / "tracker").rglob("events.out.*"))
    assert len(events) == 1
    assert b"redness" in events[0].read_bytes()


def test_a_tracker_that_is_not_installed_is_refused(
    document: dict[str, Any], tmp_path: Path
) -> None:
    document["sink"] = [{"kind": "tracker", "to": "comet_ml"}]
    with pytest.raises(GraftworkError, match="comet_ml is not installed"):
        fits.fit(runfile.check(document, name="run.toml"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
