"""What the page of a search is drawn from: its leaderboard and its trials' curves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from graftwork.core.errors import GraftworkError
from graftwork.train.report.charts import Look
from graftwork.train.report.words import finite, label, main_names, number, setting, short_names
from graftwork.train.run import Run
from graftwork.train.runfile import RunFile
from graftwork.tune.leaderboard import Leaderboard, Row
from graftwork.tune.space import METHOD


@dataclass(frozen=True)
class Board:
    """A search folder, read."""

    folder: Path
    file: RunFile
    scores: Leaderboard

    @property
    def trials(self) -> Sequence[Row]:
        """All trials, best first."""
        return self.scores.trials

    @property
    def metric(self) -> str:
        """The metric that was searched for."""
        return self.scores.metric

    @property
    def best(self) -> Row | None:
        """The best finished trial."""
        return next((row for row in self.trials if row.id == self.scores.best), None)

    @property
    def learned(self) -> str:
        """The metric of what is learned, one side of the trade-off."""
        return self.scores.axes[0]

    @property
    def other(self) -> str:
        """The metric set against it: KPS, or the first other one; "" for none."""
        return self.scores.axes[1] if len(self.scores.axes) > 1 else ""

    @cached_property
    def metrics(self) -> list[str]:
        """Names of all metrics, the searched one first."""
        found = dict.fromkeys(name for row in self.trials for name in (*row.before, *row.metrics))
        return sorted(main_names(found), key=lambda name: name != self.metric)

    @cached_property
    def frozen(self) -> Mapping[str, float]:
        """The metrics of the frozen model: a fresh adapter changes nothing."""
        chosen = [self.best] if self.best else []
        return next((row.before for row in (*chosen, *self.trials) if row.before), {})

    @cached_property
    def methods(self) -> Mapping[str, Look]:
        """A look for every adapter that was tried."""
        names = sorted({self.method(row) for row in self.trials})
        return {name: Look.of(index) for index, name in enumerate(names)}

    @cached_property
    def short(self) -> Mapping[str, str]:
        """Short names of the searched settings."""
        return short_names(self.scores.over)

    @cached_property
    def histories(self) -> Mapping[str, list[dict[str, Any]]]:
        """The logged lines of every trial."""
        return {row.id: Run(self.folder / row.folder, self.file).history() for row in self.trials}

    def method(self, row: Row) -> str:
        """The adapter of a trial."""
        return str(row.settings.get(METHOD, self.file.method))

    def look(self, row: Row) -> Look:
        """The look of a trial in all charts."""
        return self.methods[self.method(row)]

    def key(self, row: Row) -> str:
        """The page's name for a trial."""
        return f"trial-{row.id}"

    def details(self, row: Row) -> str:
        """The searched settings but the adapter: "rank 8, lr 0.002"."""
        named = [
            f"{self.short[name]} {setting(row.settings[name])}"
            for name in self.scores.over
            if name != METHOD and name in row.settings
        ]
        return ", ".join(named)

    def tip(self, row: Row) -> str:
        """What a mark of a trial says."""
        values = [f"{label(name)} {number(row.metrics.get(name))}" for name in self.metrics]
        status = "" if row.status == "finished" else f"{row.status} at step {row.step}"
        lines = [
            f"trial {row.id}: {self.method(row)}",
            self.details(row),
            " · ".join(values),
            status,
        ]
        return "\n".join(line for line in lines if line)


def read_board(folder: Path, file: RunFile) -> Board:
    """Read a search's `leaderboard.json`.

    Raises:
        GraftworkError: it is missing or unreadable.
    """
    path = folder / "leaderboard.json"
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
        rows = [Row(**row) for row in scores.pop("trials")]
        return Board(folder, file, Leaderboard(**scores, trials=rows))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise GraftworkError(
            f"{path}: no leaderboard to read ({error}); `graftwork resume {folder}` writes one"
        ) from error


def judged(row: Row) -> bool:
    """Whether a trial came far enough to have a value."""
    return finite(row.value)
