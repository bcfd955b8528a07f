"""``graftwork new``: a complete plugin, to fill in."""

from pathlib import Path
from typing import Literal

from graftwork.cli.naming import Names
from graftwork.cli.rendering import render
from graftwork.core import atomic, registry
from graftwork.core.errors import GraftworkError


def new(kind: Literal["adapter"], name: str, /, *, into: Path = Path()) -> None:
    """Write a complete plugin of your own: package, adapter, settings and tests.

    Args:
        kind: what the plugin offers.
        name: what run files will call it, in lower case: my-method.
        into: where to put its folder.
    """
    names = Names.of(name)
    _refuse_taken(names)
    folder = into / names.distribution
    if folder.exists():
        raise GraftworkError(f"{folder}: exists already; choose another name or remove it")
    with atomic.folder(folder) as building:
        for path, text in render(kind, names).items():
            target = building / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    print(_next_steps(folder, names))


def _refuse_taken(names: Names) -> None:
    for record in registry.records("adapters"):
        if record.name == names.name:
            raise GraftworkError(
                f"new: {names.name!r} is an adapter of {record.provider}; choose another name"
            )


def _next_steps(folder: Path, names: Names) -> str:
    return f"""\
wrote {folder}

next:
  cd {folder}
  pip install -e . graftwork-testing pytest
  pytest
  graftwork show {names.name}

Your equation goes into src/{names.module}/adapter.py."""
