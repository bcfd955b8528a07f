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
from graftwork.nn.branches import tell_lost
from graftwork.nn.card import CARD
from graftwork.nn.files import WEIGHTS
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
        GraftworkError: an unknown format or setting, a path that is taken for graftwork's own
            file, or what the format cannot hold.
    """
    record, parsed = check(format, settings)
    refuse_own(path)
    tell_lost(handle)
    more = () if record.config is None else (parsed,)
    written = record.load()().write(handle, path, *more)
    return written if isinstance(written, Export) else Export(path=written)


def refuse_own(path: Path) -> None:
    """Refuse a path where another tool's file would be taken for graftwork's own, or hide behind
    it: `load_graft` knows its own by these names.

    Raises:
        GraftworkError: it is such a path.
    """
    if path.name in (WEIGHTS, CARD):
        raise GraftworkError(
            f"{path}: '{path.name}' is what graftwork calls its own files; choose another name"
        )
    if (path / CARD).is_file():
        raise GraftworkError(
            f"{path}: holds an adapter in graftwork's own files, which would be loaded in place "
            "of this one; choose another folder"
        )


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
