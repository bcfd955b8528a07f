"""A plugin that a run file names, with its settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftwork.core import registry
from graftwork.core.config import as_dict, parse
from graftwork.core.errors import GraftworkError
from graftwork.core.records import Record

_PATHS = (
    "path",
    "test_path",
    "features",
    "config",
    "masks",
    "sensor",
    "images",
    "noise_file",
    "noise_matrix",
    "media",
    "merged",
)
"""Settings that name files, or lists of them."""


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


def choose(
    table: Any,
    kind: str,
    *,
    key: str,
    place: str,
    own: Sequence[str] = (),
    base: Path | None = None,
) -> Chosen:
    """Check a table that names a plugin.

    Args:
        table: the table, as the document has it.
        kind: what it names, such as "adapters".
        key: the table's name, such as "adapter".
        place: where it stands, such as "run.toml: adapter.words"; begins every complaint.
        own: the keys that are the run's and not the plugin's.
        base: the folder from which relative paths are taken, where they exist there.

    Raises:
        GraftworkError: an unknown plugin or key, or a value that does not fit.
    """
    table = dict(as_table(table, key, place))
    plugin = table.pop("kind", None)
    if not isinstance(plugin, str):
        known = ", ".join(record.name for record in registry.records(kind))
        raise GraftworkError(f"{place}.kind: is missing; one of: {known}")
    try:
        record = registry.find(kind, plugin)
    except GraftworkError as error:
        raise GraftworkError(f"{place}.kind: {error}") from error
    kept = {name: table.pop(name) for name in own if name in table}
    settings: Any = parse(record.settings_class(), beside(table, base), where=place)
    return Chosen(record=record, settings=settings, own=kept)


def beside(table: Mapping[str, Any], base: Path | None) -> dict[str, Any]:
    """A plugin's table with those relative paths taken from `base` that exist there."""
    found = dict(table)
    for setting in _PATHS:
        value = table.get(setting)
        if base is not None and isinstance(value, str):
            found[setting] = _beside(value, base)
        elif base is not None and isinstance(value, list):
            found[setting] = [_beside(each, base) for each in value]
    return found


def _beside(value: Any, base: Path) -> Any:
    there = isinstance(value, str) and value and (base / value).exists()
    return str(base / value) if there else value


def as_table(value: Any, key: str, place: str) -> Mapping[str, Any]:
    """A value of the document that has to be a table. Raises `GraftworkError` for another."""
    if not isinstance(value, Mapping):
        raise GraftworkError(f"{place}: expected a table; write [{key}]")
    return value


def as_tables(value: Any, key: str, place: str) -> list[Mapping[str, Any]]:
    """A value of the document that has to be a list of tables. Raises `GraftworkError`."""
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise GraftworkError(f"{place}: expected a list of tables; write [[{key}]]")
    return value


def refuse_twice(names: Sequence[str], place: str, *, remedy: str = "keep one") -> None:
    """Raise `GraftworkError` for the first name that is there twice."""
    for index, one in enumerate(names):
        if one in names[:index]:
            raise GraftworkError(f"{place}: '{one}' is there twice; {remedy}")
