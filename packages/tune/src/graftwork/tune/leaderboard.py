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
    pareto: Sequence[str]
    """Trials that no other beats in the searched metric and in KPS at once."""
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
    rows = [_row(run, folder, search) for run in runs if (run / "run.toml").exists()]
    rows.sort(key=lambda row: _rank(row, search))
    finished = [row.id for row in rows if row.status == "finished" and row.value is not None]
    return Leaderboard(
        metric=search.metric,
        mode=search.mode,
        over=search.over,
        seconds=round(seconds, 1),
        best=finished[0] if finished else None,
        pareto=pareto([row for row in rows if row.value is not None], search),
        trials=rows,
    )


def pareto(rows: Sequence[Row], search: SearchSettings, second: str = "kps") -> list[str]:
    """Ids of the rows that no other row dominates in the searched metric and `second`."""
    sign = 1 if search.mode == "max" else -1
    points = [
        (row.id, sign * row.value, row.metrics[second])
        for row in rows
        if row.value is not None and second in row.metrics
    ]
    return [
        name
        for name, x, y in points
        if not any(a >= x and b >= y and (a > x or b > y) for _, a, b in points)
    ]


def _row(path: Path, folder: Path, search: SearchSettings) -> Row:
    run = Run.open(path)
    history = run.history()
    evaluations = [record for record in history if "metrics" in record]
    outcome = run.outcome() or {}
    table = run.file.table()
    metrics = evaluations[-1]["metrics"] if evaluations else {}
    trained = len(evaluations) > 1
    settings = {name: get_value(table, name) for name in search.over}
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
