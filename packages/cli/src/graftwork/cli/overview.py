"""What ``graftwork --help`` and ``graftwork --version`` print, in plain text."""

from importlib.metadata import PackageNotFoundError, version

from graftwork.cli.columns import aligned
from graftwork.core import registry

_HEAD = """\
usage: graftwork COMMAND ...

Adapt frozen vision backbones with small trainable adapters, and search for the best.

commands:"""

_TAIL = "Run `graftwork COMMAND --help` for its arguments, and `graftwork list` for all plugins."


def commands_text() -> str:
    """The table of commands, from their records alone."""
    rows = [(record.name, record.summary) for record in registry.records("commands")]
    return f"{_HEAD}\n{aligned(rows, indent=2)}\n\n{_TAIL}"


def version_text() -> str:
    """``graftwork 0.1.0``: the version of the distribution that brings this command."""
    try:
        return f"graftwork {version('graftwork-cli')}"
    except PackageNotFoundError:  # run from a source folder
        return "graftwork, not installed"
