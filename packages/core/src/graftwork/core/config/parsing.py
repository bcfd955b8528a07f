"""Checking what a user wrote against a settings class."""

import functools
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from graftwork.core.config.problems import complaint, place
from graftwork.core.errors import GraftworkError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_T = TypeVar("_T")


def parse(cls: type[_T], data: Mapping[str, Any], where: str) -> _T:
    """An instance of the ``@config`` class ``cls`` from plain tables, strictly.

    ``where`` begins the error: ``"run.toml"`` or, for a table of it, ``"run.toml: adapter"``.
    Nothing is converted, so ``"8"`` is no integer; an unknown key is refused with the nearest one.
    Raises GraftworkError for the first problem found.
    """
    from pydantic import ValidationError

    try:
        adapter = _adapter(cls)  # type: ignore[arg-type]  # a class is hashable
        made: _T = adapter.validate_json(json.dumps(_json(data, where, ())))
    except ValidationError as error:
        raise GraftworkError(complaint(cls, data, where, error.errors())) from None
    return made


@functools.cache
def _adapter(cls: type) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _json(value: Any, where: str, path: tuple[str | int, ...]) -> Any:
    """``value`` with tuples as lists; refuses what JSON has no word for."""
    if isinstance(value, Mapping):
        return {str(key): _json(inner, where, (*path, str(key))) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner, where, (*path, index)) for index, inner in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise GraftworkError(
            f"{place(where, path)}: expected a finite number, got {value}; write an ordinary number"
        )
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if hasattr(value, "__fspath__"):
        return str(value)
    raise GraftworkError(
        f"{place(where, path)}: a {type(value).__name__} is not allowed here ({value}); "
        "write a number, a string in quotes, true, false, a list or a table"
    )
