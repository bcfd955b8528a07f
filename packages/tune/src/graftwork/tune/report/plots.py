"""The trade-off between two metrics, and the learning curves of all trials."""

from graftwork.train.report.axes import axis
from graftwork.train.report.charts import Chart, Entry, Line, Look
from graftwork.train.report.curves import metric_series, series, smooth, thin
from graftwork.train.report.words import finite, headline, label
from graftwork.tune.report import marks
from graftwork.tune.report.board import Board, judged


def legend(board: Board) -> list[Entry]:
    """What the colours and shapes of all charts mean."""
    entries = [Entry(text=name, look=look) for name, look in board.methods.items()]
    plain = Look(colour=6)
    if any(row.status != "finished" for row in board.trials if judged(row)):
        entries.append(Entry(text="stopped early", look=plain, weight="hollow"))
    if board.scores.pareto:
        entries.append(Entry(text="on the Pareto front", look=plain, weight="front"))
    return [*entries, Entry(text="frozen model", look=marks.FROZEN, weight="reference")]


def trade_off(board: Board) -> Chart | None:
    """What is learned against what is preserved, with the Pareto front."""
    x, y = board.other, board.learned
    rows = [
        row
        for row in board.trials
        if judged(row) and finite(row.metrics.get(x)) and finite(row.metrics.get(y))
    ]
    if not x or not rows:
        return None
    front = sorted((row.metrics[x], row.metrics[y]) for row in rows if marks.on_front(board, row))
    dots = [marks.dot(board, row, row.metrics[x], row.metrics[y]) for row in rows]
    frozen = marks.frozen(board, board.frozen.get(x))
    return Chart(
        title=f"{headline(y)} against {label(x)}, one mark for each trial",
        x=axis([dot.x for dot in (*dots, *frozen)]),
        y=axis([dot.y for dot in (*dots, *frozen)]),
        x_label=f"{headline(x)} →",
        y_label=f"{'↑' if board.scores.mode == 'max' else '↓'} {headline(y)}",
        lines=[Line(points=front, weight="front")],
        dots=[*dots, *frozen],
        width=640,
        height=440,
    )


def over_steps(board: Board, metric: str) -> Chart | None:
    """A metric over the steps, one line for each trial."""
    curves = {row.id: metric_series(board.histories[row.id], metric) for row in board.trials}
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return None
    rows = sorted(board.trials, key=lambda row: row is board.best)
    ends = [marks.end(board, row, *curves[row.id][-1]) for row in rows if curves[row.id]]
    return Chart(
        title=f"{headline(metric)} over the steps, one line for each trial",
        x=axis([x for x, _ in points], pad=0),
        y=axis([y for _, y in points]),
        x_label="step",
        y_label=headline(metric),
        lines=[marks.line(board, row, curves[row.id]) for row in rows],
        dots=ends,
    )


def losses(board: Board) -> list[Chart]:
    """The smoothed loss of all trials, one chart for each adapter, on one scale."""
    curves = {row.id: thin(smooth(series(board.histories[row.id], "loss"))) for row in board.trials}
    settled = [y for curve in curves.values() for _, y in curve[len(curve) // 20 :]]
    steps = [x for curve in curves.values() for x, _ in curve]
    if not settled:
        return []
    return [
        Chart(
            title=f"Loss over the steps, {method}",
            x=axis(steps, pad=0),
            y=axis(settled),
            x_label="step",
            y_label=method,
            lines=[
                marks.line(board, row, curves[row.id])
                for row in board.trials
                if board.method(row) == method
            ],
        )
        for method in board.methods
    ]
