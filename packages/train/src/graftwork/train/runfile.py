"""Run files: one TOML document that says everything about a run.

`[backbone]`, `[data]`, `[adapter]`, `[[loss]]`, `[[metric]]` and `[[sink]]` name a plugin by
`kind`; the rest of such a table are the plugin's settings, save the few keys of `_OWN`.
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
from graftwork.core.records import Record
from graftwork.train.overrides import override
from graftwork.train.settings import (
    EvaluateSettings,
    OptimizerSettings,
    SearchSettings,
    TrainSettings,
)

PLUGIN_TABLES = {"backbone": "backbones", "data": "datasets", "adapter": "adapters"}
PLUGIN_LISTS = {"loss": "losses", "metric": "metrics", "sink": "sinks"}
PLAIN_TABLES: dict[str, type] = {
    "optimizer": OptimizerSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
}
_TOP = ("seed", *PLUGIN_TABLES, *PLUGIN_LISTS, *PLAIN_TABLES, "search")
_PATHS = ("path", "features", "config")
_OWN = {"adapter": ("sites",), "loss": ("weight",)}


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A plugin that a run file names, with its settings."""

    record: Record
    settings: Any
    own: Mapping[str, Any]
    """The keys of the table that are the run's and not the plugin's (`sites`, `weight`)."""

    @property
    def kind(self) -> str:
        """The plugin's name."""
        return self.record.name

    def build(self) -> Any:
        """Import the plugin's code and construct it."""
        return self.record.load()(self.settings)

    def table(self) -> dict[str, Any]:
        """The table as a run file spells it, defaults filled in."""
        return {"kind": self.kind, **self.own, **as_dict(self.settings)}


@dataclass(frozen=True, kw_only=True)
class RunFile:
    """A checked run file."""

    name: str
    seed: int
    backbone: Chosen
    data: Chosen
    adapter: Chosen
    loss: tuple[Chosen, ...]
    metric: tuple[Chosen, ...]
    sink: tuple[Chosen, ...]
    optimizer: OptimizerSettings
    train: TrainSettings
    evaluate: EvaluateSettings
    search: SearchSettings | None = None
    space: Mapping[str, Any] | None = None
    """Ranges that `[search.space]` gives in place of the settings' own."""

    def table(self) -> dict[str, Any]:
        """The whole document with every default filled in, ready for TOML."""
        document: dict[str, Any] = {"seed": self.seed}
        for key in PLUGIN_TABLES:
            document[key] = getattr(self, key).table()
        for key in PLAIN_TABLES:
            document[key] = as_dict(getattr(self, key))
        for key in PLUGIN_LISTS:
            if chosen := getattr(self, key):
                document[key] = [one.table() for one in chosen]
        if self.search:
            space = {"space": dict(self.space)} if self.space else {}
            document["search"] = as_dict(self.search) | space
        return document

    def text(self) -> str:
        """The whole document as TOML."""
        return tomli_w.dumps(self.table())

    def without_search(self) -> "RunFile":
        """The same run as a single fit."""
        return replace(self, search=None, space=None)


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

    A relative `path` (or other setting of `_PATHS`) that exists beside the file is taken from
    there.
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
        parts[key] = _chosen(table[key], key, kind, name, base)
    for key, kind in PLUGIN_LISTS.items():
        parts[key] = _chosen_list(table.get(key, []), key, kind, name, base)
    for key, cls in PLAIN_TABLES.items():
        parts[key] = parse(cls, _as_table(table.get(key, {}), key, name), where=f"{name}: {key}")
    parts["loss"] = parts["loss"] or (_default_loss(parts["backbone"], name, base),)
    search, space = _search(table, name)
    run = RunFile(name=name, seed=seed, search=search, space=space, **parts)
    _same_task(run)
    return run


def check_backbone(table: Any, *, name: str, base: Path | None = None) -> Chosen:
    """Check a `[backbone]` table alone."""
    return _chosen(table, "backbone", "backbones", name, base)


def _chosen(table: Any, key: str, kind: str, name: str, base: Path | None) -> Chosen:
    table = dict(_as_table(table, key, name))
    plugin = table.pop("kind", None)
    if not isinstance(plugin, str):
        known = ", ".join(record.name for record in registry.records(kind))
        raise GraftworkError(f"{name}: {key}.kind: is missing; one of: {known}")
    try:
        record = registry.find(kind, plugin)
    except GraftworkError as error:
        raise GraftworkError(f"{name}: {key}.kind: {error}") from error
    own = {own_key: table.pop(own_key) for own_key in _OWN.get(key, ()) if own_key in table}
    _check_own(own, key, name)
    for setting in _PATHS:
        value = table.get(setting)
        if base is not None and isinstance(value, str) and value and (base / value).exists():
            table[setting] = str(base / value)
    settings: Any = parse(record.settings_class(), table, where=f"{name}: {key}")
    return Chosen(record=record, settings=settings, own=own)


def _chosen_list(tables: Any, key: str, kind: str, name: str, base: Path | None) -> Any:
    if not isinstance(tables, list) or not all(isinstance(one, Mapping) for one in tables):
        raise GraftworkError(f"{name}: {key}: expected a list of tables; write [[{key}]]")
    chosen = tuple(_chosen(table, key, kind, name, base) for table in tables)
    if key != "sink":  # two files may be written; two values of one name may not be reported
        _refuse_twice([one.kind for one in chosen], f"{name}: {key}")
    return chosen


def _refuse_twice(names: Sequence[str], place: str) -> None:
    for index, one in enumerate(names):
        if one in names[:index]:
            raise GraftworkError(f"{place}: '{one}' is there twice; keep one")


def _check_own(own: Mapping[str, Any], key: str, name: str) -> None:
    sites = own.get("sites", ["*"])
    if not sites or (
        not isinstance(sites, str)
        and not (isinstance(sites, list) and all(isinstance(site, str) for site in sites))
    ):
        raise GraftworkError(f"{name}: {key}.sites: expected a pattern or a list of patterns")
    weight = own.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < 1e12:
        raise GraftworkError(f"{name}: {key}.weight: expected a number of at least 0")


def _as_table(value: Any, key: str, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise GraftworkError(f"{name}: {key}: expected a table; write [{key}]")
    return value


def _default_loss(backbone: Chosen, name: str, base: Path | None) -> Chosen:
    loss = backbone.record.default_loss  # type: ignore[attr-defined]
    return _chosen({"kind": loss}, "loss", "losses", name, base)


def _search(table: Mapping[str, Any], name: str) -> tuple[SearchSettings | None, Any]:
    if "search" not in table:
        return None, None
    search = dict(_as_table(table["search"], "search", name))
    space = _as_table(search.pop("space", {}), "search.space", name)
    return parse(SearchSettings, search, where=f"{name}: search"), dict(space)


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
