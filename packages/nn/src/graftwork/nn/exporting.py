"""To export: write a graft in another tool's format, by the `formats` hook.

A format's target is a class without arguments. `write(handle, path)` returns the file it made,
or an `Export` that also tells what a conversion lost; with a `config` in its record it takes the
settings as a third argument. `detect(path)` and `read(model, path, *, name, weight)` read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.core.records import FormatSpec
from graftwork.nn.handle import Graft


@dataclass(frozen=True, kw_only=True)
class Export:
    """A file that was written."""

    path: Path
    """Where it is."""
    error: float | None = None
    """||D - D'|| / ||D|| over all sites, for a conversion that is not exact."""


def export(handle: Graft, path: Path, *, format: str, settings: Mapping[str, Any]) -> Export:
    """Write a graft in a format; see `Graft.export`.

    Raises:
        GraftworkError: an unknown format or setting, or what the format cannot hold.
    """
    record, parsed = check(format, settings)
    more = () if record.config is None else (parsed,)
    written = record.load()().write(handle, path, *more)
    return written if isinstance(written, Export) else Export(path=written)


def check(format: str, settings: Mapping[str, Any]) -> tuple[FormatSpec, Any]:
    """The record of a format and its settings, before any work is done for them.

    Raises:
        GraftworkError: the format is unknown or can only be read, or a setting does not fit.
    """
    record = registry.find("formats", format)
    assert isinstance(record, FormatSpec)
    if not record.writes:
        raise GraftworkError(f"format '{format}' can only be read; choose another")
    cls: type = record.settings_class()
    return record, parse(cls, dict(settings), f"format '{format}'")
