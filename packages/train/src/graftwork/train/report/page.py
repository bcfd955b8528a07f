"""The page of one run."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftwork.core import atomic
from graftwork.nn.text_to_image import TASK as TEXT_TO_IMAGE
from graftwork.train.adapter_tables import folders
from graftwork.train.chosen import Chosen
from graftwork.train.report import curves, words
from graftwork.train.report.charts import Chart
from graftwork.train.report.rendering import render
from graftwork.train.report.sheets import read_sheets
from graftwork.train.run import Run
from graftwork.train.runfile import RunFile


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A metric at the beginning and at the end of a run."""

    name: str
    before: float | None
    after: float | None


def write_report(folder: Path) -> Path:
    """Write `report.html` into a run folder, whatever state the run is in.

    Raises:
        GraftworkError: it is no run folder, or cannot be written to.
    """
    run = Run.open(folder)
    history = run.history()
    outcome = run.outcome() or {}
    measured = judged(history, outcome)
    sheets = read_sheets(run.samples)
    names = [one.name for one in measured]
    page = render(
        "run.html",
        name=run.folder.resolve().name,
        file=run.file,
        status=outcome.get("status", "unfinished"),
        reason=outcome.get("reason", ""),
        outcome=outcome,
        step=outcome.get("step", reached(history)),
        judged=measured,
        main=[one for one in measured if one.name in words.main_names(names)],
        records=[metric.record for metric in run.file.metric],
        sheets=sheets,
        metric_charts=metric_charts(history),
        logged_charts=logged_charts(history),
        settings=(run.folder / "run.toml").read_text(encoding="utf-8"),
        environment=read_environment(run.folder),
        commands=commands(run.folder, run.file, sheets.sample),
    )
    target = run.folder / "report.html"
    atomic.write_text(target, page)
    return target


def judged(history: Sequence[Mapping[str, Any]], outcome: Mapping[str, Any]) -> list[Judged]:
    """The metrics before and after, from the outcome or, without one, from the evaluations."""
    metrics = [line["metrics"] for line in history if isinstance(line.get("metrics"), Mapping)]
    before = outcome.get("before") or (metrics[0] if metrics else {})
    after = outcome.get("after") or (metrics[-1] if len(metrics) > 1 else {})
    return [
        Judged(name=name, before=before.get(name), after=after.get(name))
        for name in dict.fromkeys([*before, *after])
    ]


def metric_charts(history: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """One chart for every metric that was measured more than once."""
    names = dict.fromkeys(name for line in history for name in line.get("metrics", ()))
    return [
        curves.metric_chart(history, name)
        for name in names
        if len(curves.metric_series(history, name)) > 1
    ]


def logged_charts(history: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """One chart for every loss and every other number that changed on the way."""
    names = curves.logged(history)
    # A single loss is the total.
    parts = [name for name in names if name.startswith("loss/")]
    kept = [name for name in names if len(parts) > 1 or name not in parts]
    return [curves.logged_chart(history, name) for name in kept if moves(history, name)]


def moves(history: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether a logged number took more than one value; a constant is no curve."""
    return len({value for _, value in curves.series(history, name)}) > 1


def read_environment(folder: Path) -> dict[str, str]:
    """The versions in `environment.json`; empty without a readable one."""
    try:
        versions: dict[str, str] = json.loads((folder / "environment.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return versions


def reached(history: Sequence[Mapping[str, Any]]) -> int:
    """The last step that was logged."""
    return max((line["step"] for line in history), default=0)


def commands(folder: Path, file: RunFile, sample: Sequence[str]) -> list[tuple[str, str]]:
    """What one can do with a finished run of a file: a sentence and a command each.

    `sample` is what to write after `graftwork sample RUN`.
    """
    place = shlex.quote(str(folder))
    exports = _exports(folder, file.adapters) if file.task.name == TEXT_TO_IMAGE else ()
    return [
        ("Make more with it", shlex.join(["graftwork", "sample", str(folder), *sample])),
        ("Judge it again", f"graftwork evaluate {place}"),
        *exports,
        ("Train it anew", f"graftwork fit {place}/run.toml --out {place}-again"),
    ]


def _exports(folder: Path, adapters: Mapping[str, Chosen]) -> Iterator[tuple[str, str]]:
    """How to take each adapter to diffusers."""
    for name, place in folders(folder / "adapter", tuple(adapters)).items():
        several = len(adapters) > 1
        words = adapters[name].record.family == "token"  # type: ignore[attr-defined]
        format = "embeddings" if words else "diffusers"
        source = shlex.quote(str(place if several else folder))
        out = shlex.quote(f"{folder.resolve().name}-{name if several else format}")
        what = f"'{name}'" if several else "it"
        command = f"graftwork export {source} --format {format} --out {out}"
        yield f"Take {what} to diffusers", command
