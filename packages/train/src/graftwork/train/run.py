"""A run folder: everything that one run was, did and made.

run.toml            the settings, defaults filled in
environment.json    versions of Python and of every plugin
metrics.jsonl       one line for every step and every evaluation
checkpoints/        step-000100/, ...
adapter/            the trained adapter; of several, each in a folder of its name
samples/            reference.png, frozen.png, adapted.png; rows.json names their rows
predictions.jsonl   what was made of each example, of tasks where that can be read
outcome.json        how it ended: the metrics before and after, parameters, seconds
report.html         all of it as one page
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graftwork.core import atomic
from graftwork.core.errors import GraftworkError
from graftwork.core.versions import environment
from graftwork.train import runfile
from graftwork.train.adapter_tables import folders
from graftwork.train.runfile import RunFile

HISTORY = "metrics.jsonl"


class Run:
    """One run folder and the settings in it. `Run.create` makes one, `Run.open` reads one."""

    def __init__(self, folder: Path, file: RunFile) -> None:
        self.folder = folder
        self.file = file

    @classmethod
    def create(cls, folder: Path, file: RunFile) -> "Run":
        """Start a run folder.

        Raises:
            GraftworkError: the folder exists and is not empty, or cannot be written.
        """
        refuse_taken(folder)
        with atomic.folder(folder) as target:
            (target / "run.toml").write_text(file.text(), encoding="utf-8")
            (target / "environment.json").write_text(json.dumps(environment(), indent=2) + "\n")
        return cls(folder, file)

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """Read a run folder.

        Raises:
            GraftworkError: it is missing, unreadable or no run folder.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise GraftworkError(f"{folder}: no such run folder; give one that `fit` wrote")
        if not (folder / "run.toml").is_file() or not (folder / "environment.json").is_file():
            raise GraftworkError(f"{folder}: not a run folder (no run.toml); give one of `fit`")
        return cls(folder, runfile.read(folder / "run.toml"))

    def revised(self, file: RunFile) -> "Run":
        """The same folder with changed settings, as population-based training makes them."""
        if file.table() != self.file.table():
            atomic.write_text(self.folder / "run.toml", file.text())
        return Run(self.folder, file)

    @property
    def adapter(self) -> Path:
        """Folder of the trained adapter, or of the folders of several."""
        return self.folder / "adapter"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def samples(self) -> Path:
        """Folder of the sampled pictures."""
        return self.folder / "samples"

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.checkpoints / f"step-{step:06d}"

    def trained(self) -> Path:
        """The adapter's folder, or that of the folders of several.

        Raises:
            GraftworkError: the run has not come to its end.
        """
        if self.file.search is not None:
            raise GraftworkError(
                f"{self.folder}: is a search of many runs; give the best, {self.folder / 'best'}"
            )
        places = folders(self.adapter, tuple(self.file.adapters)).values()
        if not all((place / "adapter.json").is_file() for place in places):
            raise GraftworkError(
                f"{self.folder}: this run has no trained adapter yet; `graftwork resume` it"
            )
        return self.adapter

    def log(self, record: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        path = self.folder / HISTORY
        with atomic.told(path), path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")

    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a last line cut short by a crash is left out."""
        path = self.folder / HISTORY
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [record for line in lines if (record := _parsed(line)) is not None]

    def evaluations(self) -> list[dict[str, Any]]:
        """The evaluations in metrics.jsonl, in order: `step` and `metrics`."""
        return [record for record in self.history() if "metrics" in record]

    def forget_after(self, step: int) -> None:
        """Drop what was logged after a step, before training it again."""
        kept = [record for record in self.history() if record["step"] <= step]
        (self.folder / "outcome.json").unlink(missing_ok=True)
        text = "".join(json.dumps(record) + "\n" for record in kept)
        atomic.write_text(self.folder / HISTORY, text)

    def adopt_history(self, path: Path) -> None:
        """Take over the history of a checkpoint, which may be another run's.

        Population-based training goes on from the better one of two runs: what it did up to
        there is then this run's past too.
        """
        atomic.write_text(self.folder / HISTORY, path.read_text(encoding="utf-8"))

    def outcome(self) -> dict[str, Any] | None:
        """How the run ended, or None while it has not."""
        path = self.folder / "outcome.json"
        try:
            outcome: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise GraftworkError(f"{path}: cannot be read; delete it and resume") from error
        if not isinstance(outcome, dict) or "status" not in outcome:
            raise GraftworkError(f"{path}: says no status; delete it and resume")
        return outcome

    def write_outcome(self, outcome: Mapping[str, Any]) -> None:
        """Record how the run ended."""
        atomic.write_text(self.folder / "outcome.json", json.dumps(outcome, indent=2) + "\n")

    def write_predictions(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write predictions.jsonl, if there is anything to write."""
        if rows:
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            atomic.write_text(self.folder / "predictions.jsonl", text)


def refuse_taken(folder: Path, *, resumable: bool = True) -> None:
    """Refuse a folder that is in use or cannot be made, before any work is done for it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        remedy = f", or `graftwork resume {folder}`" if resumable else ""
        raise GraftworkError(f"{folder}: exists already; choose another --out{remedy}")
    parent = next(path for path in folder.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise GraftworkError(f"{folder}: {parent} cannot be written to; choose another --out")


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("step"), int) else None
