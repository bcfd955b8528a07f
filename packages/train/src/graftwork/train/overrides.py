"""Dotted settings: "adapter.rank=8" changes one value of a run file's document."""

import copy
import tomllib
from collections.abc import Mapping
from typing import Any

from graftwork.core.errors import GraftworkError
from graftwork.train.adapter_tables import entry_name

_NAMED = "adapter"  # its entries have names; the others are told apart by kind


def override(table: Mapping[str, Any], assignment: str, *, place: str) -> dict[str, Any]:
    """A copy of `table` with one "dotted.key=value" applied.

    The value is read as TOML; a bare word is a string. A part of the key that meets a list of
    tables picks the one of that `kind` ("loss.cat.weight") or, among adapters, of that `name`
    ("adapter.words.vectors").

    Raises:
        GraftworkError: no "=", an empty key, or a key that leads nowhere.
    """
    key, equals, text = assignment.partition("=")
    if not equals or not all(key.split(".")):
        raise GraftworkError(
            f"--{assignment}: expected a dotted key and a value, as --train.steps=9"
        )
    return set_value(table, key, read_value(text), place=place)


def set_value(table: Mapping[str, Any], key: str, value: Any, *, place: str) -> dict[str, Any]:
    """A copy of `table` with the setting of dotted name `key` set to `value`."""
    changed = copy.deepcopy(dict(table))
    *path, last = key.split(".")
    target: Any = changed
    for step, part in enumerate(path):
        if isinstance(target, list):
            target = _called(target, part, key, ".".join(path[:step]), place)
        elif isinstance(target, dict):
            target = target.setdefault(part, {})
    if isinstance(target, list):
        raise GraftworkError(f"{place}: {key}: {_several(target, '.'.join(path), last)}")
    if not isinstance(target, dict):
        raise GraftworkError(f"{place}: {key}: leads to no table; name a setting of a table")
    target[last] = value
    return changed


def get_value(table: Mapping[str, Any], key: str) -> Any:
    """The setting of dotted name `key`, or None if the document does not hold it."""
    target: Any = table
    parts = key.split(".")
    for step, part in enumerate(parts):
        if isinstance(target, list):
            target = _find(target, part, ".".join(parts[:step]))
        elif isinstance(target, Mapping):
            target = target.get(part)
        else:
            return None
    return target


def _called(tables: list[Any], part: str, key: str, list_name: str, place: str) -> Any:
    found = _find(tables, part, list_name)
    if found is None:
        by = "named" if list_name == _NAMED else "of kind"
        raise GraftworkError(
            f"{place}: {key}: there is no [[{list_name}]] {by} '{part}'; add one to the run file"
        )
    return found


def _find(tables: list[Any], part: str, list_name: str) -> Any:
    known = (one for one in tables if isinstance(one, Mapping))
    return next((one for one in known if _name(one, list_name) == part), None)


def _several(tables: list[Any], list_name: str, last: str) -> str:
    """What to write in place of a key that leads to a list."""
    names = [_name(one, list_name) for one in tables if isinstance(one, Mapping)]
    example = f"{list_name}.{next(iter(names), 'NAME')}.{last}"
    return f"there is a list of [[{list_name}]]; name one of them, as {example}"


def _name(table: Mapping[str, Any], list_name: str) -> Any:
    return entry_name(table) if list_name == _NAMED else table.get("kind")


def read_value(text: str) -> Any:
    """What a word of the command line means: TOML, or else the word itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
