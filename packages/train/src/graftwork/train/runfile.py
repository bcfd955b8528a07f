"""Run files: one TOML document that says everything about a run.

`[backbone]`, `[data]`, `[adapter]`, `[[loss]]`, `[[metric]]` and `[[sink]]` name a plugin by
`kind`; the rest of such a table are the plugin's settings, save the few keys that are the run's
own: a loss's `weight`, and those of `graftwork.train.adapter_tables`, where `[[adapter]]` is too.
`[evaluate]` holds the settings of the backbone's task.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w

from graftwork.core import registry
from graftwork.core.config import as_dict, parse
from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean
from graftwork.core.records import TaskSpec
from graftwork.train.adapter_tables import is_list, name_of, read_adapters
from graftwork.train.chosen import Chosen, as_table, as_tables, beside, choose, refuse_twice
from graftwork.train.overrides import override
from graftwork.train.settings import (
    OptimizerSettings,
    SearchSettings,
    TrainSettings,
)

PLUGIN_TABLES = {"backbone": "backbones", "data": "datasets", "adapter": "adapters"}
PLUGIN_LISTS = {"loss": "losses", "metric": "metrics", "sink": "sinks"}
PLAIN_TABLES: dict[str, type] = {
    "optimizer": OptimizerSettings,
    "train": TrainSettings,
}
_OWN = {"loss": ("weight",)}
EVALUATE = "evaluate"
_TOP = ("seed", *PLUGIN_TABLES, *PLUGIN_LISTS, *PLAIN_TABLES, EVALUATE, "search")


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """A checked run file."""

    name: str
    seed: int
    backbone: Chosen
    data: Chosen
    adapter: tuple[Chosen, ...]
    """What trains: the one of `[adapter]`, or those of `[[adapter]]` in order."""
    loss: tuple[Chosen, ...]
    metric: tuple[Chosen, ...]
    sink: tuple[Chosen, ...]
    optimizer: OptimizerSettings
    train: TrainSettings
    task: TaskSpec
    evaluate: Any
    """Settings of the task: how adapters are judged."""
    search: SearchSettings | None = None
    space: Mapping[str, Any] | None = None
    """Ranges that `[search.space]` gives in place of the settings' own."""

    def table(self) -> dict[str, Any]:
        """The whole document with every default filled in, ready for TOML."""
        document: dict[str, Any] = {"seed": self.seed}
        for key in PLUGIN_TABLES:
            document[key] = self._adapters() if key == "adapter" else getattr(self, key).table()
        for key in (*PLAIN_TABLES, EVALUATE):
            document[key] = as_dict(getattr(self, key))
        for key in PLUGIN_LISTS:
            if chosen := getattr(self, key):
                document[key] = [one.table() for one in chosen]
        if self.search:
            space = {"space": dict(self.space)} if self.space else {}
            document["search"] = as_dict(self.search) | space
        return document

    @property
    def adapters(self) -> Mapping[str, Chosen]:
        """What trains, by name; that of `[adapter]` is called "default"."""
        return {name_of(one): one for one in self.adapter}

    @property
    def method(self) -> str:
        """What trains, for people: "lora", or "dreamartist + lora (positive) + ..."."""
        return " + ".join(
            one.kind if one.own.get("name", one.kind) == one.kind else f"{one.kind} ({name})"
            for name, one in self.adapters.items()
        )

    def text(self) -> str:
        """The whole document as TOML."""
        return tomli_w.dumps(self.table())

    def without_search(self) -> "RunFile":
        """The same run as a single fit."""
        return replace(self, search=None, space=None)

    def _adapters(self) -> dict[str, Any] | list[dict[str, Any]]:
        tables = [one.table() for one in self.adapter]
        return tables if is_list(self.adapter) else tables[0]


def read(path: str | Path, overrides: Sequence[str] = ()) -> RunFile:
    """Read and check a run file; `overrides` are "dotted.key=value", value in TOML.

    Raises:
        GraftworkError: the file is missing or not TOML, a key or plugin is unknown, a value is
            out of range; the message names the file, the key and the remedy.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except IsADirectoryError as error:
        raise GraftworkError(f"{path}: is a folder; give a run file, such as run.toml") from error
    except OSError as error:
        reason = error.strerror or error
        raise GraftworkError(f"{path}: cannot be read ({reason}); give a run file") from error
    except UnicodeDecodeError as error:
        raise GraftworkError(f"{path}: is not text; give a run file in TOML") from error
    except tomllib.TOMLDecodeError as error:
        raise GraftworkError(f"{path}: not valid TOML: {error}; mend that line") from error
    for assignment in overrides:
        table = override(table, assignment, place=path.name)
    return check(table, name=path.name, base=path.resolve().parent)


def check(table: Mapping[str, Any], *, name: str, base: Path | None = None) -> RunFile:
    """Check a document that is already parsed.

    A relative `path` (or other setting that `choose` knows for one) that exists beside the file is
    taken from there.
    """
    for key in table:
        if key not in _TOP:
            raise GraftworkError(f"{name}: {key}: unknown key{did_you_mean(key, _TOP)}")
    seed = table.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise GraftworkError(f"{name}: seed: expected an integer of at least 0, got {seed!r}")
    parts: dict[str, Any] = {}
    for key, kind in PLUGIN_TABLES.items():
        if key not in table:
            raise GraftworkError(f"{name}: [{key}] is missing; add it with a `kind`")
        if key == "adapter":
            parts[key] = read_adapters(table[key], file=name, base=base)
        else:
            parts[key] = choose(table[key], kind, key=key, place=f"{name}: {key}", base=base)
    for key, kind in PLUGIN_LISTS.items():
        parts[key] = _chosen_list(table.get(key, []), key, kind, name, base)
    for key, cls in PLAIN_TABLES.items():
        place = f"{name}: {key}"
        parts[key] = parse(cls, as_table(table.get(key, {}), key, place), where=place)
    parts["task"] = _task(parts["backbone"], name)
    evaluate, place = table.get(EVALUATE, {}), f"{name}: {EVALUATE}"
    parts[EVALUATE] = parse(
        parts["task"].settings_class(), as_table(evaluate, EVALUATE, place), where=place
    )
    parts["loss"] = parts["loss"] or (_default_loss(parts["backbone"], name),)
    search, space = _search(table, name, base)
    run = RunFile(name=name, seed=seed, search=search, space=space, **parts)
    _same_task(run)
    return run


def check_backbone(table: Any, *, name: str, base: Path | None = None) -> Chosen:
    """Check a `[backbone]` table alone."""
    return choose(table, "backbones", key="backbone", place=f"{name}: backbone", base=base)


def _chosen_list(tables: Any, key: str, kind: str, name: str, base: Path | None) -> Any:
    place = f"{name}: {key}"
    chosen = tuple(
        choose(table, kind, key=key, place=place, own=_OWN.get(key, ()), base=base)
        for table in as_tables(tables, key, place)
    )
    for one in chosen:
        _check_weight(one.own.get("weight", 1.0), place)
    if key != "sink":  # two files may be written; two values of one name may not be reported
        refuse_twice([one.kind for one in chosen], place)
    return chosen


def _check_weight(weight: Any, place: str) -> None:
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < 1e12:
        raise GraftworkError(f"{place}.weight: expected a number of at least 0")


def _task(backbone: Chosen, name: str) -> TaskSpec:
    task = backbone.record.task  # type: ignore[attr-defined]
    try:
        record = registry.find("tasks", task)
    except GraftworkError as error:
        raise GraftworkError(
            f"{name}: backbone.kind: '{backbone.kind}' does {task}, which no installed plugin "
            "knows; install the one that brings the task"
        ) from error
    assert isinstance(record, TaskSpec)
    return record


def _default_loss(backbone: Chosen, name: str) -> Chosen:
    loss = backbone.record.default_loss  # type: ignore[attr-defined]
    return choose({"kind": loss}, "losses", key="loss", place=f"{name}: loss")


def _search(
    table: Mapping[str, Any], name: str, base: Path | None
) -> tuple[SearchSettings | None, Any]:
    if "search" not in table:
        return None, None
    search = dict(as_table(table["search"], "search", f"{name}: search"))
    space = as_table(search.pop("space", {}), "search.space", f"{name}: search.space")
    settings = parse(SearchSettings, search, where=f"{name}: search")
    return settings, {key: _from(base, key, value) for key, value in space.items()}


def _from(base: Path | None, key: str, value: Any) -> Any:
    """A range of the search space; its paths are taken from the file's folder, as all others."""
    if not isinstance(value, list):
        return value
    last = key.rpartition(".")[2]
    return [
        beside(one, base) if isinstance(one, Mapping) else beside({last: one}, base)[last]
        for one in value
    ]


def _same_task(run: RunFile) -> None:
    """Refuse data, losses and metrics that are made for another task than the backbone's."""
    task = run.backbone.record.task  # type: ignore[attr-defined]
    for key, chosen in [
        ("data", run.data),
        *(("loss", loss) for loss in run.loss),
        *(("metric", metric) for metric in run.metric),
    ]:
        theirs = chosen.record.task  # type: ignore[attr-defined]
        if theirs not in (None, task):
            raise GraftworkError(
                f"{run.name}: {key}.kind: '{chosen.kind}' is for {theirs}, and the backbone "
                f"'{run.backbone.kind}' does {task}; choose another"
            )
