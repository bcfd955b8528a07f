"""The one line that tells a user what is wrong with a setting, and what to write instead."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from graftwork.core.config.declare import is_config
from graftwork.core.config.hints import bare, hints, members, type_text
from graftwork.core.config.remedies import expectation
from graftwork.core.nearest import did_you_mean

Path = tuple[str | int, ...]

_UNKNOWN = {"unexpected_keyword_argument", "extra_forbidden"}
_MISSING = {"missing", "missing_argument", "missing_keyword_only_argument"}
_RAISED = {"value_error", "assertion_error"}


def place(where: str, path: Path) -> str:
    """Where a value stands: ``run.toml: loss[0].weight``."""
    dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    if not dotted:
        return where
    # "run.toml: adapter" names a table already; "run.toml" alone does not.
    return where + dotted if ": " in where else f"{where}: {dotted.removeprefix('.')}"


def complaint(cls: type, data: Mapping[str, Any], where: str, errors: Sequence[Any]) -> str:
    """One line for the first of pydantic's ``errors``, and a count of the others."""
    # A misspelt key is also reported as missing under its right name: name the misspelling.
    ordered = sorted(errors, key=lambda error: error["type"] not in _UNKNOWN)
    paths = [_path(data, error) for error in ordered]
    others = len(set(paths)) - 1
    more = f" (and {others} more problem{'s' if others > 1 else ''})" if others else ""
    same = [error for error, path in zip(ordered, paths, strict=True) if path == paths[0]]
    wrong, remedy = _told(cls, same, paths[0])
    return f"{place(where, paths[0])}: {wrong}{more}{remedy}"


def _told(cls: type, errors: list[Any], path: Path) -> tuple[str, str]:
    """What is wrong, and the tail with the remedy."""
    first = errors[0]
    if first["type"] in _UNKNOWN:
        owner = _type_at(cls, path[:-1])
        known = hints(owner) if is_config(owner) else ()
        return "unknown key", did_you_mean(str(path[-1]), known) or "; remove it"
    hint = _hint_at(cls, path)
    if first["type"] in _MISSING:
        return _absent(first, path, hint)
    if first["type"] in _RAISED:
        wrong, mark, remedy = str(first["ctx"]["error"]).partition("; ")
        return wrong, mark + remedy
    choices = _choices(hint)
    if choices and not isinstance(first["input"], Mapping | list):
        got = first["input"]
        return f"expected {type_text(hint)}, got {got!r}", _choice(got, choices)
    if len(errors) > 1:  # every part of a union refused the value
        return f"expected {type_text(hint)}, got {_short(first['input'])}", "; write one of those"
    expected, remedy = expectation(first)
    return f"expected {expected}, got {_short(first['input'])}", f"; {remedy}"


def _absent(error: Any, path: Path, hint: Any) -> tuple[str, str]:
    if isinstance(error["loc"][-1], int):  # a tuple with too few values
        return "too few values", f"; write as many as {type_text(hint)} has"
    return "missing", f"; add it: {path[-1]} = ... ({type_text(hint)})"


def _choice(got: Any, choices: Sequence[Any]) -> str:
    return did_you_mean(str(got), [str(choice) for choice in choices])


def _choices(hint: Any) -> tuple[Any, ...]:
    parts = members(hint)
    if parts and all(get_origin(part) is Literal for part in parts):
        return tuple(choice for part in parts for choice in get_args(part))
    return ()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _path(data: Any, error: Any) -> Path:
    """The keys of ``data`` that lead to the error; pydantic's names for union parts left out."""
    path: list[str | int] = []
    for part in error["loc"]:
        if _has(data, part):
            data = data[part]
            path.append(part)
        elif error["type"] in _MISSING and isinstance(part, str) and part == error["loc"][-1]:
            path.append(part)
    return tuple(path)


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, Mapping):
        return part in data
    return isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)


def _type_at(cls: type, path: Path) -> Any:
    hint = _hint_at(cls, path)
    return next((part for part in members(hint) if is_config(part)), bare(hint))


def _hint_at(cls: type, path: Path) -> Any:
    """The annotation of the value at ``path``; ``Any`` where it cannot be told."""
    hint: Any = cls
    for part in path:
        inner = (_inside(member, part) for member in members(hint))
        hint = next((found for found in inner if found is not None), Any)
    return hint


def _inside(hint: Any, part: str | int) -> Any:
    if is_config(hint):
        return hints(hint).get(str(part))
    arguments = get_args(hint)
    if isinstance(part, int) and arguments:  # tuple[int, ...], tuple[int, str] or list[int]
        one_type = len(arguments) == 1 or arguments[-1] is Ellipsis
        return arguments[0] if one_type else arguments[min(part, len(arguments) - 1)]
    return arguments[-1] if arguments else None  # dict[str, int]
