"""To fit: train an adapter as a run file says, and leave a run folder."""

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import manager
from graftwork.nn.backbone import Backbone
from graftwork.train.checkpoint import (
    Progress,
    keep_only,
    latest,
    load_checkpoint,
    prune,
    save_checkpoint,
)
from graftwork.train.digest import digest
from graftwork.train.pictures import save_sheets
from graftwork.train.run import Run, refuse_taken
from graftwork.train.runfile import RunFile
from graftwork.train.session import open_session
from graftwork.train.trainer import Trainer


@dataclass(frozen=True)
class Evaluated:
    """What a fit yields after every evaluation."""

    step: int
    metrics: Mapping[str, float]
    checkpoint: Path | None
    """The checkpoint of this step; None before the first."""


class Fit:
    """A training run as an iterator over its evaluations; the work happens in between.

    Exhausting it writes the adapter, the pictures and the outcome. Stopping early leaves a
    folder that `resume` takes up.
    """

    def __init__(self, run: Run, trainer: Trainer, progress: Progress) -> None:
        self.run = run
        self.trainer = trainer
        self.progress = progress
        self.main = trainer.session.accelerator.is_main_process
        self.sinks = trainer.sinks if self.main else []

    def __iter__(self) -> Iterator[Evaluated]:
        with contextlib.ExitStack() as stack:
            for sink in self.sinks:
                sink.open(self.run.folder)
                stack.callback(sink.close)
            yield from self._watched()

    def _watched(self) -> Iterator[Evaluated]:
        """The evaluations, with the hooks told and the outcome written."""
        hook = manager().hook
        hook.before_fit(run=self.run)
        try:
            yield from self._evaluations()
            outcome = self._finish()
        except GraftworkError as error:
            outcome = {"status": "failed", "step": self.progress.step, "reason": str(error)}
            if self.main:
                self.run.write_outcome(outcome)
            hook.after_fit(run=self.run, outcome=outcome)
            raise
        hook.after_fit(run=self.run, outcome=outcome)

    def _evaluations(self) -> Iterator[Evaluated]:
        settings = self.run.file.train
        untrained = self._digests() if self.progress.step == 0 else {}
        if self._due(self.progress.step) and not self._evaluated(self.progress.step):
            yield self._evaluate(latest(self.run.checkpoints))
        for step in range(self.progress.step, settings.steps):
            self._step(step)
            due = self._due(step + 1)
            checkpoint = None
            if due or (step + 1) % settings.checkpoint_every == 0:
                checkpoint = self._save()
            if due:
                yield self._evaluate(checkpoint)
        if still := untrained.items() & self._digests().items():
            name = f" '{min(still)[0]}'" if len(untrained) > 1 else ""
            raise GraftworkError(f"no parameter of the adapter{name} moved; raise optimizer.lr")

    def _digests(self) -> dict[str, str]:
        """A hash of the parameters of every adapter."""
        grafts = self.trainer.session.adapters.grafts
        return {name: digest(handle.parameters()) for name, handle in grafts.items()}

    def _due(self, step: int) -> bool:
        """Whether a step ends in an evaluation: the first and the last always do."""
        settings = self.run.file.train
        every = settings.evaluate_every or settings.steps
        return step % every == 0 or step == settings.steps

    def _evaluated(self, step: int) -> bool:
        return any(record["step"] == step for record in self.run.evaluations())

    def _step(self, step: int) -> None:
        started = time.monotonic()
        logs = self.trainer.step(step)
        seconds = self.progress.seconds + time.monotonic() - started
        self.progress = Progress(step + 1, seconds)
        if self.main:
            self.run.log({"step": step + 1, "seconds": round(seconds, 4), **logs})
        for sink in self.sinks:
            sink.write(step + 1, logs)
        manager().hook.after_step(run=self.run, step=step + 1, logs=logs)

    def _evaluate(self, checkpoint: Path | None) -> Evaluated:
        """Judge the adapter, in the main process alone: it is the same in all of them."""
        if not self.main:
            return Evaluated(self.progress.step, {}, checkpoint)
        metrics = self.trainer.session.evaluate()
        self.run.log({"step": self.progress.step, "metrics": metrics})
        for sink in self.sinks:
            sink.write(self.progress.step, metrics)
        manager().hook.after_eval(run=self.run, step=self.progress.step, metrics=metrics)
        return Evaluated(self.progress.step, metrics, checkpoint)

    def _save(self) -> Path:
        folder = self.run.checkpoint(self.progress.step)
        if self.main:
            save_checkpoint(
                folder,
                self.trainer.session.adapters,
                self.trainer.optimizer,
                self.progress,
                losses=self.trainer.by_kind,
            )
            prune(self.run.checkpoints, self.run.file.train.keep)
        return folder

    def _finish(self) -> dict[str, Any]:
        session, evaluated = self.trainer.session, self.run.evaluations()
        session.accelerator.wait_for_everyone()
        if not self.main:
            return {"status": "finished", "step": self.progress.step}
        outcome: dict[str, Any] = {
            "status": "finished",
            "step": self.progress.step,
            "seconds": round(self.progress.seconds, 2),
            "parameters": session.adapters.num_parameters(),
            "before": evaluated[0]["metrics"],
            "after": evaluated[-1]["metrics"],
        }
        if len(counts := session.adapters.counts()) > 1:
            outcome["adapters"] = counts
        session.adapters.save(self.run.adapter)
        save_sheets(session.evaluation.sheets(), self.run.samples)
        self.run.write_predictions(session.evaluation.predictions())
        self.run.write_outcome(outcome)
        return outcome


def start(
    file: RunFile, folder: Path, *, cache: Path | None = None, backbone: Backbone | None = None
) -> Fit:
    """Prepare a fit from the start.

    Everything the file names is built and checked before the folder is made.

    Args:
        file: the run.
        folder: the run folder to make.
        cache: folder for what runs of one backbone can share.
        backbone: one built before from the same settings.

    Raises:
        GraftworkError: bad settings or data, a folder in use, ...
    """
    refuse_taken(folder)
    trainer = Trainer(open_session(file, cache=cache, backbone=backbone))
    main = trainer.session.accelerator.is_main_process
    run = Run.create(folder, file) if main else Run(folder, file)
    return Fit(run, trainer, Progress(0, 0.0))


def reopen(
    run: Run,
    *,
    checkpoint: Path | None = None,
    cache: Path | None = None,
    backbone: Backbone | None = None,
) -> Fit:
    """Prepare to go on from a checkpoint, or from the start without one, as if uninterrupted."""
    trainer = Trainer(open_session(run.file, cache=cache, backbone=backbone))
    progress = Progress(0, 0.0)
    if checkpoint is not None:
        progress = load_checkpoint(
            checkpoint, trainer.session.adapters, trainer.optimizer, losses=trainer.by_kind
        )
    if trainer.session.accelerator.is_main_process:
        run.forget_after(progress.step if checkpoint else -1)
        keep_only(run.checkpoints, checkpoint, progress.step)
    return Fit(run, trainer, progress)


def fit(file: RunFile, folder: Path) -> Run:
    """Train from the start to the end; what cannot even be evaluated leaves no folder."""
    made = start(file, folder)
    try:
        return _exhaust(made)
    except GraftworkError:
        if made.main and not made.run.history():
            shutil.rmtree(folder)
        raise


def resume(folder: str | Path) -> Run:
    """Go on from a run's newest checkpoint to the end; a finished run is returned as it is."""
    run = Run.open(folder)
    if (run.outcome() or {}).get("status") == "finished":
        return run
    return _exhaust(reopen(run, checkpoint=latest(run.checkpoints)))


def _exhaust(fit: Fit) -> Run:
    for _ in fit:
        pass
    fit.trainer.session.accelerator.end_training()  # leave the process group, if there is one
    return fit.run
