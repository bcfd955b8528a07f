"""How the searched metric goes with the size of an adapter and with each setting."""

from collections.abc import Sequence
from typing import Any

from graftwork.train.report.axes import Axis, axis, named_axis, spreads
from graftwork.train.report.charts import Chart
from graftwork.train.report.words import finite, headline, setting
from graftwork.tune.leaderboard import Row
from graftwork.tune.report import marks
from graftwork.tune.report.board import Board, judged
from graftwork.tune.space import METHOD


def against_parameters(board: Board) -> Chart | None:
    """The searched metric against the number of trained parameters."""
    rows = [row for row in board.trials if judged(row) and row.parameters]
    if not rows:
        return None
    return Chart(
        title=f"{headline(board.metric)} against trained parameters",
        x=axis([float(row.parameters or 0) for row in rows], log=True),
        y=marks.values(board, rows),
        x_label="trained parameters",
        y_label=headline(board.metric),
        dots=[marks.dot(board, row, float(row.parameters or 0)) for row in rows],
    )


def effects(board: Board) -> list[Chart]:
    """The searched metric against every setting that was searched."""
    charts = [_effect(board, name) for name in board.scores.over]
    return [chart for chart in charts if chart]


def _effect(board: Board, name: str) -> Chart | None:
    rows = [row for row in board.trials if judged(row) and name in row.settings]
    values = [row.settings[name] for row in rows]
    if len({str(value) for value in values}) < 2:
        return None
    scale, places = _scale(values)
    if scale.names and name != METHOD:
        places = [x + _aside(board, row) for row, x in zip(rows, places, strict=True)]
    return Chart(
        title=f"{headline(board.metric)} against {name}",
        x=scale,
        y=marks.values(board, rows),
        x_label=board.short[name],
        y_label=headline(board.metric),
        dots=[marks.dot(board, row, x) for row, x in zip(rows, places, strict=True)],
    )


def _scale(values: Sequence[Any]) -> tuple[Axis, list[float]]:
    """A scale for a setting's values, and their places on it; few values get equal room."""
    distinct = set(map(str, values))
    numbers = all(finite(value) for value in values)
    if numbers and (len(distinct) > 6 or len(distinct) == len(values)):
        return axis(values, log=spreads(values)), [float(value) for value in values]
    known = sorted(set(values)) if numbers else sorted(distinct)
    names = [setting(value) for value in known]
    return named_axis(names), [
        float(known.index(value if numbers else str(value))) for value in values
    ]


def _aside(board: Board, row: Row) -> float:
    """A small step to the side for each method, so that equal settings do not hide each other."""
    count = len(board.methods)
    return 0.4 * ((list(board.methods).index(board.method(row)) + 0.5) / count - 0.5)
