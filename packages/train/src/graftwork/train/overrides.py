"""Dotted settings: "adapter.rank=8" changes one value of a run file's document."""

import copy
import tomllib
from collections.abc import Mapping
from typing import Any

from graftwork.core.errors import GraftworkError


def override(table: Mapping[str, Any], assignment: str, *, place: str) -> dict[str, Any]:
    """A copy of `table` with one "dotted.key=value" applied.

    The value is read as TOML; a bare word is a string. A part of the key that meets a list of
    tables picks the one of that `kind` ("loss.cat.weight").

    Raises:
        GraftworkError: no "=", an empty key, or a key that leads nowhere.
    """
    key, equals, text = assignment.partition("=")
    if not equals or not all(key.split(".")):
        raise GraftworkError(
            f"--{assignment}: expected a dotted key and a value, as --train.steps=9"
        )
    return set_value(table, key, _value(text), place=place)


def set_value(table: Mapping[str, Any], key: str, value: Any, *, place: str) -> dict[str, Any]:
    """A copy of `table` with the setting of dotted name `key` set to `value`."""
    changed = copy.deepcopy(dict(table))
    *path, last = key.split(".")
    target: Any = changed
    for step, part in enumerate(path):
        if isinstance(target, list):
            target = _of_kind(target, part, key, ".".join(path[:step]), place)
        elif isinstance(target, dict):
            target = target.setdefault(part, {})
    if not isinstance(target, dict):
        raise GraftworkError(f"{place}: {key}: leads to no table; name a setting of a table")
    target[last] = value
    return changed


def get_value(table: Mapping[str, Any], key: str) -> Any:
    """The setting of dotted name `key`, or None if the document does not hold it."""
    target: Any = table
    for part in key.split("."):
        if isinstance(target, list):
            target = next((one for one in target if one.get("kind") == part), None)
        elif isinstance(target, Mapping):
            target = target.get(part)
        else:
            return None
    return target


def _of_kind(tables: list[Any], kind: str, key: str, list_name: str, place: str) -> Any:
    for table in tables:
        if isinstance(table, dict) and table.get("kind") == kind:
            return table
    raise GraftworkError(
        f"{place}: {key}: there is no [[{list_name}]] of kind '{kind}'; add one to the run file"
    )


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
