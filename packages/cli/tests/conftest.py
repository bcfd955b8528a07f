"""Commands of a made-up plugin beside the real ones, run in this process."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import pytest

from graftwork.cli import plugin as cli_plugin
from graftwork.cli.main import main
from graftwork.core import AdapterSpec, CommandSpec, GraftworkError, LossSpec, hookimpl, registry
from graftwork.core.plugins import PluginManager

CALLS: list[tuple[Any, ...]] = []


def fit(
    run_file: Path,
    /,
    *,
    out: Path | None = None,
    workers: int = 1,
    mode: Literal["max", "min"] = "max",
    quiet: bool = False,
    overrides: tuple[str, ...] = (),
) -> None:
    """Train an adapter.

    Args:
        run_file: the run file (TOML).
        out: the run folder to make.
        workers: how many.
        mode: which way is up.
        quiet: say nothing.
        overrides: settings that replace the file's.
    """
    CALLS.append((run_file, out, workers, mode, quiet, overrides))


def plain(*, rate: float) -> int:
    """Return an exit status."""
    CALLS.append((rate,))
    return 7


def mistake() -> None:
    """A user's mistake."""
    raise GraftworkError("run.toml: wrong\n on two lines; mend it")


def interrupt() -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


FUNCTIONS = (fit, plain, mistake, interrupt)


@hookimpl
def commands() -> Iterator[CommandSpec]:
    for function in FUNCTIONS:
        name = function.__name__
        yield CommandSpec(
            name=name,
            target=f"dummy_commands:{name}",
            summary=f"{name} it",
            example="graftwork fit examples/cat.toml" if name == "fit" else "",
        )


@hookimpl
def adapters() -> Iterator[AdapterSpec]:
    settings = "dummy_settings:Twist"
    cites = ("arXiv:2403.19243 Ji et al. 2025, Sine Activated {Matrices}",)
    yield AdapterSpec(
        name="twist", target="no:X", summary="twists", family="weight", config=settings, cites=cites
    )
    yield AdapterSpec(name="both", target="no:X", summary="an adapter", family="token")


@hookimpl
def losses() -> Iterator[LossSpec]:
    yield LossSpec(name="both", target="no:X", summary="a loss")


PLUGIN = SimpleNamespace(commands=commands, adapters=adapters, losses=losses)


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginManager]:
    """The plugins of this distribution and the made-up one, and no others."""
    module = ModuleType("dummy_commands")
    vars(module).update({function.__name__: function for function in FUNCTIONS})
    monkeypatch.setitem(sys.modules, "dummy_commands", module)
    made = PluginManager.empty()
    made.register(cli_plugin, "cli", distribution="graftwork-cli", version="0.1.0")
    made.register(PLUGIN, "dummy", distribution="graftwork-dummy", version="1.2")
    CALLS.clear()
    with registry.use(made):
        yield made


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def graftwork(manager: PluginManager, capsys: pytest.CaptureFixture[str]) -> Run:
    """``graftwork("list", "adapters")``: run it, and what it said."""

    def run(*words: str) -> Said:
        try:
            status = main(words)
        except SystemExit as stop:  # tyro ends a --help so
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        return Said(status, captured.out, captured.err)

    return run


@pytest.fixture
def calls() -> list[tuple[Any, ...]]:
    """What the made-up commands were called with."""
    return CALLS
