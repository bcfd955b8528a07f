"""Reading annotations: what type a field has once its decorations are taken off."""

import functools
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


@functools.cache
def hints(cls: type) -> dict[str, Any]:
    """The annotations of a class with ``Annotated`` kept and strings resolved."""
    return get_type_hints(cls, include_extras=True)


def metadata(hint: Any) -> tuple[Any, ...]:
    """What ``Annotated`` adds to the type, innermost parts of an optional included."""
    if get_origin(hint) is Annotated:
        return (*metadata(hint.__origin__), *hint.__metadata__)
    if is_union(hint):
        return tuple(extra for part in get_args(hint) for extra in metadata(part))
    return ()


def bare(hint: Any) -> Any:
    """The type without ``Annotated`` around it."""
    return bare(hint.__origin__) if get_origin(hint) is Annotated else hint


def is_union(hint: Any) -> bool:
    """Whether the type is ``A | B`` in either spelling."""
    return get_origin(hint) in (Union, types.UnionType)


def members(hint: Any) -> tuple[Any, ...]:
    """The types a value may have: the parts of a union, or the one type; never None."""
    hint = bare(hint)
    parts = get_args(hint) if is_union(hint) else (hint,)
    return tuple(bare(part) for part in parts if part is not type(None))


def type_text(hint: Any) -> str:
    """A type as a person reads it.

    >>> type_text(int | None)
    'int | None'
    >>> type_text(tuple[float, ...])
    'tuple[float, ...]'
    """
    if get_origin(hint) is Annotated:
        return f"{type_text(hint.__origin__)} {', '.join(_bounds(hint.__metadata__))}".rstrip()
    if is_union(hint):
        return " | ".join(type_text(part) for part in get_args(hint))
    if get_origin(hint) is Literal:
        return " | ".join(repr(choice) for choice in get_args(hint))
    if hint is Ellipsis:
        return "..."
    name = "None" if hint is type(None) else getattr(hint, "__name__", str(hint))
    inner = ", ".join(type_text(part) for part in get_args(hint))
    return f"{name}[{inner}]" if inner else name


def _bounds(extras: tuple[Any, ...]) -> list[str]:
    # Ge(1) has .ge, Gt(0) .gt, ...; Interval(ge=1, le=9) several of them.
    return [
        f"{sign} {bound}"
        for extra in extras
        for attribute, sign in _BOUNDS.items()
        if (bound := getattr(extra, attribute, None)) is not None
    ]
