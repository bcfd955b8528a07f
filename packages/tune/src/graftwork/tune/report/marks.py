"""The marks that stand for trials, the same in all charts of a search."""

from collections.abc import Sequence

from graftwork.train.report.axes import Axis, axis
from graftwork.train.report.charts import STAR, Dot, Line, Look
from graftwork.train.report.words import finite, label, number
from graftwork.tune.leaderboard import Row
from graftwork.tune.report.board import Board

FROZEN = Look(colour=6, shape=STAR)


def dot(board: Board, row: Row, x: float, y: float | None = None) -> Dot:
    """A trial, at its value of the searched metric unless `y` says otherwise."""
    weights = [
        "front" if on_front(board, row) else "",
        "" if row.status == "finished" else "hollow",
    ]
    return Dot(
        x=x,
        y=float(row.value or 0) if y is None else y,
        look=board.look(row),
        weight=" ".join(weights).strip(),
        tip=board.tip(row),
        key=board.key(row),
        link=board.key(row),
        text="best" if row is board.best else "",
    )


def line(board: Board, row: Row, points: Sequence[tuple[float, float]]) -> Line:
    """The curve of a trial, the best one strong."""
    weight = "strong" if row is board.best else ""
    return Line(
        points=points, look=board.look(row), weight=weight, tip=board.tip(row), key=board.key(row)
    )


def end(board: Board, row: Row, x: float, y: float) -> Dot:
    """The end of a trial's curve."""
    best = row is board.best
    weights = ["" if row.status == "finished" else "hollow", "" if best else "small"]
    return Dot(
        x=x,
        y=y,
        look=board.look(row),
        weight=" ".join(weights).strip(),
        tip=board.tip(row),
        key=board.key(row),
        link=board.key(row),
        text="best" if best else "",
    )


def frozen(board: Board, x: float | None) -> list[Dot]:
    """The frozen model, where it is measured."""
    y = board.frozen.get(board.learned)
    if x is None or y is None or not finite(x) or not finite(y):
        return []
    values = f"{label(board.learned)} {number(y)} · {label(board.other)} {number(x)}"
    tip = f"the frozen model\n{values}"
    return [Dot(x=x, y=y, look=FROZEN, weight="reference", tip=tip, text="frozen model")]


def values(board: Board, rows: Sequence[Row]) -> Axis:
    """The scale of the searched metric."""
    return axis([row.value for row in rows if row.value is not None])


def on_front(board: Board, row: Row) -> bool:
    """Whether a trial is on the Pareto front."""
    return row.id in board.scores.pareto
