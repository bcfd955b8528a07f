"""Where adapters are, and the backbone that they are to go on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graftwork.core import registry
from graftwork.core.errors import GraftworkError
from graftwork.core.records import FormatSpec
from graftwork.nn import Graft, load_graft, tensorfile
from graftwork.nn.backbone import Backbone
from graftwork.nn.card import CARD, read_card
from graftwork.train import runfile
from graftwork.train.adapter_tables import folders
from graftwork.train.chosen import Chosen
from graftwork.train.overrides import override
from graftwork.train.run import Run


@dataclass(frozen=True, kw_only=True)
class Place:
    """A trained adapter: of a run, a folder of its own, or a file of another tool."""

    adapter: Path
    """What `load_graft` takes."""
    run: Run | None
    """The run that it is from, if it lies in one."""
    weight: float | None = None
    """How strongly it is to act; None for as strongly as it was saved."""


def locate(path: Path) -> Place:
    """The one adapter at a path.

    Raises:
        GraftworkError: nothing is there, a run is unfinished or has several adapters, or it is a
            search of many runs.
    """
    found = locate_each(path)
    if len(found) > 1:
        names = ", ".join(place.adapter.name for place in found)
        raise GraftworkError(
            f"{path}: this run has {len(found)} adapters ({names}); name one, as {found[0].adapter}"
        )
    return found[0]


def locate_each(path: Path) -> list[Place]:
    """The adapters at a path: one, or those of a run that has several.

    Raises:
        GraftworkError: nothing is there, a run is unfinished, or it is a search of many runs.
    """
    if _is_run(path):
        run = Run.open(path)
        inside = folders(run.trained(), tuple(run.file.adapters))
        return [Place(adapter=one, run=run) for one in inside.values()]
    if not _is_adapter(path):
        if path.suffix == ".safetensors" and path.is_file():
            tensorfile.read(path)  # says so if it is cut short
        problem = "neither a run nor an adapter" if path.exists() else "does not exist"
        raise GraftworkError(
            f"{path}: {problem}; give one that `fit` wrote, an adapter's folder, or a file in one "
            "of `graftwork list formats`"
        )
    return [Place(adapter=path, run=_run_around(path.resolve()))]


def locate_all(paths: Sequence[Path], weights: Sequence[float], *, command: str) -> list[Place]:
    """The adapters at some paths, with a weight for each path or no weights at all.

    The weight of a run that has several holds for all of them.

    Raises:
        GraftworkError: there is no path, one leads to no adapter, or the weights do not fit.
    """
    if not paths:
        raise GraftworkError(
            f"{command}: ADAPTERS is missing; as in: graftwork {command} runs/cat --out cat"
        )
    if weights and len(weights) != len(paths):
        raise GraftworkError(
            f"--weights: {len(weights)} for {len(paths)} adapters; give one for each"
        )
    for weight in weights:
        if not math.isfinite(weight):
            raise GraftworkError(
                f"--weights: expected ordinary numbers such as 0.5, got {weight:g}"
            )
    each: Sequence[float | None] = weights or [None] * len(paths)
    pairs = zip(paths, each, strict=True)
    return [replace(one, weight=weight) for path, weight in pairs for one in locate_each(path)]


def open_backbone(
    places: Sequence[Place], *, run: Path | None = None, overrides: Sequence[str] = ()
) -> Backbone:
    """The backbone that a run, `--backbone.KEY` flags, or the first place in a run names.

    Raises:
        GraftworkError: none of these names one, or it cannot be built.
    """
    backbone: Backbone = _chosen(places, run, overrides).build()
    return backbone


def load(places: Sequence[Place], backbone: Backbone) -> list[Graft]:
    """Put the adapters on the backbone.

    Raises:
        GraftworkError: one does not fit, or is a head, which has the classes of its run's data.
    """
    for one in places:
        _refuse_head(one.adapter)
    return [
        load_graft(backbone.module, one.adapter, name=f"adapter-{number}", weight=one.weight)
        for number, one in enumerate(places, start=1)
    ]


def _refuse_head(adapter: Path) -> None:
    if not (adapter / CARD).is_file():
        return
    method = read_card(adapter).method
    known = {record.name: record for record in registry.records("adapters")}
    if method in known and known[method].family == "head":  # type: ignore[attr-defined]
        raise GraftworkError(
            f"{adapter}: '{method}' is a head, which no plain model has; leave it out, or keep it "
            "beside the backbone, as `graftwork sample` does"
        )


def settings_of(prefix: str, overrides: Sequence[str]) -> dict[str, Any]:
    """The settings `PREFIX.KEY=VALUE` among overrides.

    Raises:
        GraftworkError: one of them is malformed.
    """
    table: Mapping[str, Any] = {}
    for assignment in overrides:
        if assignment.partition("=")[0].partition(".")[0] == prefix:
            table = override(table, assignment, place="command line")
    return dict(table.get(prefix, {}))


def refuse_others(overrides: Sequence[str], *, known: Sequence[str], command: str) -> None:
    """Refuse flags that are neither the command's own nor settings it takes.

    Raises:
        GraftworkError: there is such a flag.
    """
    for assignment in overrides:
        key = assignment.partition("=")[0]
        table, dot, _ = key.partition(".")
        if not dot or table not in known:
            settings = " and ".join(f"--{one}.KEY" for one in known)
            raise GraftworkError(
                f"{command}: unknown flag --{key}; of settings it takes {settings}; "
                f"see: graftwork {command} --help"
            )


def _is_adapter(path: Path) -> bool:
    if (path / CARD).is_file():
        return True
    records = [record for record in registry.records("formats") if isinstance(record, FormatSpec)]
    return path.exists() and any(one.reads and one.load().detect(path) for one in records)


def _is_run(path: Path) -> bool:
    return (path / "run.toml").is_file() and not (path / CARD).is_file()


def _run_around(adapter: Path) -> Run | None:
    """The run in whose `adapter/` an adapter lies, alone or as one of several."""
    for inner in (adapter, adapter.parent):
        if inner.name == "adapter" and (inner.parent / "run.toml").is_file():
            return Run.open(inner.parent)
    return None


def _chosen(places: Sequence[Place], run: Path | None, overrides: Sequence[str]) -> Chosen:
    told = settings_of("backbone", overrides)
    own = next((place.run for place in places if place.run is not None), None)
    if run is not None:
        file = runfile.read(run / "run.toml" if run.is_dir() else run)
    elif own is not None:
        file = own.file
    elif "kind" in told:
        return runfile.check_backbone(told, name="command line", base=Path.cwd())
    else:
        raise GraftworkError(
            f"{places[0].adapter}: lies in no run that names its backbone; add --run RUN (a run or "
            "its file) or --backbone.kind NAME"
        )
    table = file.backbone.table()
    # Another kind has other settings than those of the file.
    table = told if told.get("kind", table["kind"]) != table["kind"] else table | told
    return runfile.check_backbone(table, name="command line", base=Path.cwd())
