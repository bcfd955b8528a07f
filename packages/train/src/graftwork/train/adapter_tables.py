"""`[adapter]` and `[[adapter]]`: what a run trains, one adapter or several together."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from graftwork.core.config import Gt, Search, config, parse
from graftwork.core.errors import GraftworkError
from graftwork.train.chosen import Chosen, as_tables, choose, refuse_twice

ALONE = "default"
"""The name of the one adapter of `[adapter]`."""
LR = "lr"


@config
class AdapterKeys:
    """What the run itself reads in the table of an adapter."""

    sites: str | tuple[str, ...] | None = None
    """Patterns of the sites to adapt; absent for the backbone's own."""

    branch: Literal["both", "positive", "negative"] | None = None
    """The branch of guidance that it acts on, the prompt's or the negative prompt's; absent for
    both."""

    lr: Annotated[float, Gt(0), Search(1e-5, 1e-2, log=True)] | None = None
    """Peak learning rate of its parameters; absent for `optimizer.lr`."""


@config
class NamedAdapterKeys(AdapterKeys):
    """What the run itself reads in a table of `[[adapter]]`."""

    name: str | None = None
    """What it is called in folders, flags and searches; absent for its kind."""


KEYS = ("sites", "branch", LR)
NAMED_KEYS = ("name", *KEYS)


def read_adapters(value: Any, *, file: str, base: Path | None = None) -> tuple[Chosen, ...]:
    """Check what a document has under `adapter`: a table, or a list of tables.

    The entries of a list have a `name` among their own keys, that of a table has none.

    Raises:
        GraftworkError: naming the file and the key.
    """
    if not isinstance(value, list) or not value:
        place = f"{file}: adapter"
        _check(value, AdapterKeys, KEYS, place)
        return (choose(value, "adapters", key="adapter", place=place, own=KEYS, base=base),)
    tables = as_tables(value, "adapter", f"{file}: adapter")
    chosen = tuple(_named(table, file, base) for table in tables)
    names = [one.own["name"] for one in chosen]
    refuse_twice(names, f"{file}: adapter", remedy="give each a `name` of its own")
    return chosen


def name_of(chosen: Chosen) -> str:
    """What the graft of an adapter is called."""
    return str(chosen.own.get("name", ALONE))


def is_list(adapters: Sequence[Chosen]) -> bool:
    """Whether a document has them as `[[adapter]]`."""
    return "name" in adapters[0].own


def entry_name(table: Mapping[str, Any]) -> str:
    """The name of an entry of `[[adapter]]`: its own, or its kind ("peft/vera" is "peft-vera")."""
    return str(table.get("name", str(table.get("kind", "")).replace("/", "-")))


def folders(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Where a run keeps the adapters of these names: one in the folder itself, several in it."""
    return {name: folder if len(names) == 1 else folder / name for name in names}


def _named(table: Mapping[str, Any], file: str, base: Path | None) -> Chosen:
    name = entry_name(table)
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) and isinstance(table.get("kind"), str):
        raise GraftworkError(
            f"{file}: adapter.name: {name!r} cannot be one; use letters, digits, - and _"
        )
    place = f"{file}: adapter.{name}" if name else f"{file}: adapter"
    _check(table, NamedAdapterKeys, NAMED_KEYS, place)
    named = {**table, "name": name}
    return choose(named, "adapters", key="adapter", place=place, own=NAMED_KEYS, base=base)


def _check(table: Any, cls: type, keys: Sequence[str], place: str) -> None:
    """Refuse values of the run's own keys that do not fit."""
    if not isinstance(table, Mapping):
        return  # told by `choose`
    own = {key: table[key] for key in keys if key in table}
    sites = own.pop("sites", ["*"])
    if not sites or (
        not isinstance(sites, str)
        and not (isinstance(sites, list) and all(isinstance(site, str) for site in sites))
    ):
        raise GraftworkError(f"{place}.sites: expected a pattern or a list of patterns")
    parse(cls, own, where=place)
