"""Learning curves out of metrics.jsonl."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from graftwork.train.report.axes import axis
from graftwork.train.report.charts import Chart, Dot, Line, Points
from graftwork.train.report.words import finite, headline, label, number

_MOST = 600
_BOOKKEEPING = ("step", "seconds", "metrics")


def series(history: Iterable[Mapping[str, Any]], name: str) -> Points:
    """A logged value by step; what is no finite number is left out."""
    return [(line["step"], line[name]) for line in history if finite(line.get(name))]


def metric_series(history: Iterable[Mapping[str, Any]], name: str) -> Points:
    """A metric by step."""
    evaluations = [line for line in history if isinstance(line.get("metrics"), Mapping)]
    values = [(line["step"], line["metrics"].get(name)) for line in evaluations]
    return [(step, value) for step, value in values if finite(value)]


def logged(history: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the logged numbers: the losses first."""
    found = dict.fromkeys(name for line in history for name, value in line.items() if finite(value))
    names = [name for name in found if name not in _BOOKKEEPING]
    return sorted(names, key=lambda name: not name.startswith("loss"))


def smooth(points: Points) -> Points:
    """The mean over a window around each point, cut off where the line begins and ends.

    A centred window, unlike a running mean, does not draw a falling line too late.
    """
    sums = [0.0, *accumulate(y for _, y in points)]
    reach = max(5, len(points) // 25)
    smoothed = []
    for index, (x, _) in enumerate(points):
        first, last = max(0, index - reach), min(len(points), index + reach + 1)
        smoothed.append((x, (sums[last] - sums[first]) / (last - first)))
    return smoothed


def thin(points: Points) -> Points:
    """At most `_MOST` of the points, evenly, the last one included."""
    stride = -(-len(points) // _MOST) or 1
    return list(points[::-1][::stride])[::-1]


def logged_chart(history: Sequence[Mapping[str, Any]], name: str) -> Chart:
    """A logged number over the steps: as it is, faint, and smoothed."""
    points = series(history, name)
    smoothed = smooth(points) if name.startswith("loss") or name == "gradient_norm" else points
    values = sorted(y for _, y in points)
    # One spike in a hundred may leave the picture; the smoothed line stays inside.
    usual = values[: max(1, round(len(values) * 0.99))]
    return Chart(
        title=f"{headline(_plain(name))} over the steps",
        x=axis([x for x, _ in points], pad=0),
        y=axis([*usual, *(y for _, y in smoothed)]),
        x_label="step",
        y_label=headline(_plain(name)),
        lines=[
            Line(points=thin(points), weight="faint"),
            Line(points=thin(smoothed), weight="strong"),
        ],
    )


def metric_chart(history: Sequence[Mapping[str, Any]], name: str) -> Chart:
    """A metric over the steps."""
    points = metric_series(history, name)
    return Chart(
        title=f"{headline(name)} over the steps",
        x=axis([x for x, _ in points], pad=0),
        y=axis([y for _, y in points]),
        x_label="step",
        y_label=headline(name),
        lines=[Line(points=points, weight="strong")],
        dots=[Dot(x=x, y=y, tip=f"step {x}: {number(y)}") for x, y in points],
    )


def _plain(name: str) -> str:
    """ "loss/cat" is "cat loss", "lr/words" is "words learning rate"."""
    whole, slash, part = name.partition("/")
    return f"{part} {label(whole)}" if slash else label(name)
