"""One trial in a worker: a run folder, trained from evaluation to evaluation."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ray import tune

from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean
from graftwork.core.versions import environment
from graftwork.nn import grafts
from graftwork.nn.backbone import Backbone
from graftwork.train import fit, runfile
from graftwork.train.checkpoint import latest
from graftwork.train.fit import Evaluated, Fit
from graftwork.train.run import HISTORY, Run
from graftwork.train.runfile import RunFile
from graftwork.tune.space import trial_table

_CHECKPOINT = "checkpoint"


class Trial(tune.Trainable):
    """Ray's view of a run. `task` is JSON: names and numbers, no objects.

    A worker keeps its backbone from one trial to the next when their settings for it agree.
    """

    def setup(self, config: dict[str, Any], task: str) -> None:
        """Read the task and refuse a worker whose plugins differ from the driver's."""
        self.task = json.loads(task)
        require_versions(self.task["versions"], environment())
        self.backbone: tuple[Any, Backbone] | None = None
        self.checkpoint: Path | None = None
        self._begin(config)

    def step(self) -> dict[str, Any]:
        """Train to the next evaluation."""
        if self.fit is None and (result := self._finished()):
            return result
        if self.fit is None:
            self._open(None)
        assert self.fit is not None
        assert self.events is not None
        event = self._advance()
        self.checkpoint = event.checkpoint
        done = event.step >= self.file.train.steps
        if done:
            for _ in self.events:  # writes the adapter, the pictures and the outcome
                pass
        return {
            **event.metrics,
            "step": event.step,
            "parameters": self.fit.trainer.session.adapters.num_parameters(),
            "done": done,
        }

    def _advance(self) -> Evaluated:
        """Train to the next evaluation behind which there is a checkpoint."""
        assert self.fit is not None
        assert self.events is not None
        for event in self.events:
            self._require_metric(event)
            if event.checkpoint is not None:  # none before the first step
                return event
        # Taken up again after its last evaluation.
        last = self.fit.run.evaluations()[-1]
        return Evaluated(last["step"], last["metrics"], latest(self.fit.run.checkpoints))

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Copy the run's newest checkpoint, and how it came there, to where Ray keeps it."""
        assert self.checkpoint is not None
        shutil.copytree(self.checkpoint, Path(checkpoint_dir) / _CHECKPOINT)
        shutil.copyfile(self.folder / HISTORY, Path(checkpoint_dir) / HISTORY)

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from a checkpoint: this trial's own, or another's (population-based training)."""
        self._close()
        if not self._finished():
            self._open(Path(checkpoint_dir) / _CHECKPOINT)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial, in the same worker."""
        self._close()
        self._begin(new_config)
        return True

    def cleanup(self) -> None:
        """Stop in the middle of a run."""
        self._close()

    def _begin(self, config: dict[str, Any]) -> None:
        driver = runfile.check(self.task["document"], name=self.task["name"])
        self.settings = dict(config)
        self.file: RunFile = runfile.check(trial_table(driver, config), name="run.toml")
        self.fit: Fit | None = None
        self.events: Iterator[Evaluated] | None = None
        self.checkpoint = None

    @property
    def folder(self) -> Path:
        """The run folder of this trial."""
        return Path(self.task["folder"]) / "trials" / short_id(self.trial_id)

    def _finished(self) -> dict[str, Any] | None:
        """The last result of a trial that ended without Ray's knowledge: its driver was killed."""
        run = self._known()
        outcome = run.outcome() if run else None
        if run is None or outcome is None or outcome["status"] != "finished":
            return None
        self.checkpoint = latest(run.checkpoints)
        known = {key: outcome[key] for key in ("step", "parameters")}
        return {**outcome["after"], **known, "done": True}

    def _known(self) -> Run | None:
        """The run of these settings that is in this trial's folder already."""
        if not (self.folder / "run.toml").exists():
            return None
        run = Run.open(self.folder)
        return run if run.file.table() == self.file.table() else None

    def _open(self, checkpoint: Path | None) -> None:
        folder = self.folder
        cache = Path(self.task["folder"]) / "cache"
        backbone = self._resident()
        try:
            if (folder / "run.toml").exists():
                if checkpoint is None and (known := self._known()):
                    checkpoint = latest(known.checkpoints)
                run = Run.open(folder).revised(self.file)
                if checkpoint is not None and checkpoint.name == _CHECKPOINT:
                    run.adopt_history(checkpoint.with_name(HISTORY))
                self.fit = fit.reopen(run, checkpoint=checkpoint, cache=cache, backbone=backbone)
            else:
                self.fit = fit.start(self.file, folder, cache=cache, backbone=backbone)
        except GraftworkError as error:
            if not folder.exists():
                Run.create(folder, self.file).write_outcome(
                    {"status": "failed", "step": 0, "reason": str(error)}
                )
            raise
        self.events = iter(self.fit)
        self.backbone = (self.file.backbone.table(), self.fit.trainer.session.backbone)

    def _resident(self) -> Backbone | None:
        """The backbone of the trial before, free of its adapters, if it is the same one."""
        if self.backbone is None or self.backbone[0] != self.file.backbone.table():
            return None
        for handle in grafts(self.backbone[1].module).values():
            handle.detach()
        return self.backbone[1]

    def _require_metric(self, event: Evaluated) -> None:
        """Refuse a search for a value that no metric reports; Ray itself would end in a crash."""
        assert self.fit is not None
        wanted = self.task["document"]["search"]["metric"]
        if wanted not in event.metrics:
            near = did_you_mean(wanted, event.metrics)
            reason = f"{self.task['name']}: search.metric: no metric reports '{wanted}'{near}"
            failed = {"status": "failed", "step": event.step, "reason": reason}
            self.fit.run.write_outcome(failed)
            raise GraftworkError(reason)

    def _close(self) -> None:
        if self.events is not None:
            self.events.close()  # type: ignore[attr-defined]
        self.fit = self.events = None


def require_versions(driver: dict[str, str], worker: dict[str, str]) -> None:
    """Refuse a worker whose Python or plugins differ from the driver's."""
    for name in sorted(driver.keys() | worker.keys()):
        ours, theirs = driver.get(name, "absent"), worker.get(name, "absent")
        if ours != theirs:
            raise GraftworkError(
                f"{name}: {ours} on the driver and {theirs} on a worker; install the same "
                "versions everywhere"
            )


def short_id(trial_id: str) -> str:
    """The number in Ray's trial id: "d3f2a_00003" is "00003"."""
    return trial_id.rpartition("_")[2]
