"""``graftwork show``: one plugin with all of its settings."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from graftwork.cli.lookup import resolve
from graftwork.core.config import Setting, as_dict, describe
from graftwork.core.records import Record, TaskSpec


def show(name: str, /) -> None:
    """One plugin with all of its settings: type, default, search range and meaning.

    Args:
        name: a plugin as `graftwork list` shows it, or KIND/NAME.
    """
    record = resolve(name)
    print("\n".join(_lines(record)))


def _lines(record: Record) -> Iterator[str]:
    yield f"{record.kind}/{record.name}: {record.summary}"
    yield f"  {'provider':<10} {record.provider}"
    yield f"  {'code':<10} {record.target}"
    for field, value in _own_fields(record):
        yield f"  {field:<10} {value}"
    for cite in record.cites:
        yield f"  {'cites':<10} {cite}"
    if record.kind != "commands":
        yield ""
        yield from _settings(record.settings_class())
    if isinstance(record, TaskSpec):
        yield "\nflags of `graftwork sample`"
        yield from _settings(record.sampling_class(), flags=True)


def _own_fields(record: Record) -> Iterator[tuple[str, Any]]:
    """What the records of this kind have beyond the others."""
    common = {field.name for field in dataclasses.fields(Record)}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.name not in common and value not in (None, "", ()):
            yield field.name.replace("_", " "), _text(value)


def _settings(cls: type, *, flags: bool = False) -> Iterator[str]:
    settings = describe(cls)
    if not flags:
        yield "settings" if settings else "no settings"
    for setting in settings:
        search = f"; search {setting.search}" if setting.search else ""
        yield f"  {'--' if flags else ''}{_assignment(setting)}  ({setting.type_text}{search})"
        if setting.doc:
            yield f"      {setting.doc}"


def _assignment(setting: Setting) -> str:
    if setting.required:
        return f"{setting.name} = ...  required"
    return setting.name if setting.default is None else f"{setting.name} = {_text(setting.default)}"


def _text(value: Any) -> str:
    """A value as a run file spells it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return str(as_dict(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
