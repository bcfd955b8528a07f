"""What a search found, read back from its trials' run folders."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graftwork.core import atomic
from graftwork.train.overrides import get_value
from graftwork.train.run import Run
from graftwork.train.runfile import RunFile
from graftwork.train.settings import SearchSettings
from graftwork.tune.declared import TABLES
from graftwork.tune.space import label


@dataclass(frozen=True, kw_only=True)
class Row:
    """One trial."""

    id: str
    folder: str
    status: str
    """finished, stopped (by the scheduler), failed or unfinished."""
    settings: Mapping[str, Any]
    step: int
    value: float | None
    """The searched metric at the last evaluation."""
    metrics: Mapping[str, float]
    before: Mapping[str, float]
    parameters: int | None
    seconds: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """All trials, best first."""

    metric: str
    mode: str
    over: Sequence[str]
    seconds: float
    best: str | None
    """Id of the best finished trial."""
    axes: Sequence[str]
    """The two metrics that pull against each other: what is learned, what is preserved."""
    pareto: Sequence[str]
    """Trials that no other beats in both of these at once."""
    trials: Sequence[Row]

    def write(self, folder: Path) -> None:
        """Write `leaderboard.json`."""
        text = json.dumps(asdict(self), indent=2) + "\n"
        atomic.write_text(folder / "leaderboard.json", text)


def read_leaderboard(folder: Path, file: RunFile, *, seconds: float) -> Leaderboard:
    """Collect the trials of a search folder."""
    search = file.search
    assert search is not None
    runs = sorted((folder / "trials").glob("*")) if (folder / "trials").exists() else []
    rows = [_row(run, folder, file) for run in runs if (run / "run.toml").exists()]
    rows.sort(key=lambda row: _rank(row, search))
    axes = _axes(rows, search)
    finished = [row.id for row in rows if row.status == "finished" and row.value is not None]
    return Leaderboard(
        metric=search.metric,
        mode=search.mode,
        over=search.over,
        seconds=round(seconds, 1),
        best=finished[0] if finished else None,
        axes=axes,
        pareto=pareto([row for row in rows if row.value is not None], axes, search.mode),
        trials=rows,
    )


def pareto(rows: Sequence[Row], axes: Sequence[str], mode: str) -> list[str]:
    """Ids of the rows that no other row dominates in both metrics, given that more is better.

    With `mode` "min" less of the first one is better.
    """
    if len(axes) < 2:
        return []
    sign = 1 if mode == "max" else -1
    points = [
        (row.id, sign * row.metrics[axes[0]], row.metrics[axes[1]])
        for row in rows
        if axes[0] in row.metrics and axes[1] in row.metrics
    ]
    return [
        name
        for name, x, y in points
        if not any(a >= x and b >= y and (a > x or b > y) for _, a, b in points)
    ]


def _axes(rows: Sequence[Row], search: SearchSettings) -> list[str]:
    """Fidelity and KPS where they are measured, else the searched metric and the first other."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    learned = "fidelity" if "fidelity" in names and search.mode == "max" else search.metric
    others = [name for name in names if name != learned]
    preserved = "kps" if "kps" in others else next(iter(others), "")
    return [learned, preserved] if preserved else [learned]


def _row(path: Path, folder: Path, file: RunFile) -> Row:
    run, search = Run.open(path), file.search
    assert search is not None
    history = run.history()
    evaluations = [record for record in history if "metrics" in record]
    outcome = run.outcome() or {}
    table = run.file.table()
    metrics = evaluations[-1]["metrics"] if evaluations else {}
    trained = len(evaluations) > 1
    settings = {name: get_value(table, name) for name in search.over}
    for name in settings.keys() & TABLES:
        settings[name] = label(table[name], (file.space or {})[name])
    return Row(
        id=path.name,
        folder=str(path.relative_to(folder)),
        status=outcome.get("status", "unfinished"),
        settings={name: value for name, value in settings.items() if value is not None},
        step=max((record["step"] for record in history), default=0),
        value=metrics.get(search.metric) if trained else None,
        metrics=metrics,
        before=evaluations[0]["metrics"] if evaluations else {},
        parameters=outcome.get("parameters"),
        seconds=max((record.get("seconds", 0.0) for record in history), default=0.0),
        reason=outcome.get("reason", ""),
    )


def _rank(row: Row, search: SearchSettings) -> tuple[int, float]:
    """Finished trials first, then stopped ones, those without a value last."""
    order = {"finished": 0, "stopped": 1}.get(row.status, 2)
    if row.value is None:
        return (3, 0.0)
    return (order, -row.value if search.mode == "max" else row.value)
