"""Settings as data: what fields a class has, and what an instance holds."""

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from graftwork.core.config.declare import is_config
from graftwork.core.config.docs import field_docs
from graftwork.core.config.hints import bare, hints, metadata, type_text
from graftwork.core.config.search import Search

_MISSING: Any = dataclasses.MISSING


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """One field of a settings class."""

    name: str
    """Its key; dotted for a field of a nested settings class."""

    type_text: str
    """Its type and bounds for people: ``int >= 1``."""

    default: Any
    """Its default; None too when it is required."""

    required: bool
    """Whether it has no default."""

    doc: str
    """What stands under the field."""

    search: Search | None
    """Where a search may look, if the field says so."""


def describe(cls: type) -> tuple[Setting, ...]:
    """The settings of a ``@config`` class in the order of their declaration."""
    return tuple(_settings(cls, prefix=""))


def as_dict(instance: Any) -> dict[str, Any]:
    """An instance as plain tables, lists, strings, numbers and booleans.

    ``None`` values are left out, for TOML has no word for them. ``parse`` reads it back.
    """
    pairs = ((field.name, getattr(instance, field.name)) for field in dataclasses.fields(instance))
    return {name: _plain(value) for name, value in pairs if value is not None}


def _settings(cls: type, given: Any = _MISSING, *, prefix: str) -> Iterator[Setting]:
    for field in dataclasses.fields(cls):
        hint = hints(cls)[field.name]
        default = _default(field) if given is _MISSING else getattr(given, field.name)
        name = prefix + field.name
        if is_config(bare(hint)):
            yield from _settings(bare(hint), default, prefix=f"{name}.")
        else:
            yield _setting(name, hint, default, field_docs(cls).get(field.name, ""))


def _setting(name: str, hint: Any, default: Any, doc: str) -> Setting:
    return Setting(
        name=name,
        type_text=type_text(hint),
        default=None if default is _MISSING else default,
        required=default is _MISSING,
        doc=doc,
        search=next((extra for extra in metadata(hint) if isinstance(extra, Search)), None),
    )


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_dict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, enum.Enum):
        return value.value
    return str(value) if isinstance(value, PurePath) else value
