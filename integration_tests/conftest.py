"""The toy world of `graftwork.testing.toy`, installed, and two ways to run the command line."""

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from graftwork.cli.main import main
from graftwork.core import plugins
from graftwork.core.plugins import PluginManager
from graftwork.testing import toy

HERE = Path(__file__).parent

DOCUMENT: dict[str, Any] = {
    "seed": 3,
    "backbone": {"kind": "toy"},
    "data": {"kind": "toy-squares"},
    "adapter": {"kind": "toy-lora", "rank": 2},
    "loss": [{"kind": "toy-denoising"}, {"kind": "toy-preserve", "weight": 2.0}],
    "metric": [{"kind": "redness"}],
    "optimizer": {"lr": 0.02},
    "train": {"steps": 4, "batch": 2, "checkpoint_every": 2, "threads": 1},
    "evaluate": {"seeds": 1, "steps": 2},
}


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    status: int
    out: str
    err: str


Run = Callable[..., Said]
WriteRun = Callable[..., Path]
Install = Callable[..., None]


@pytest.fixture
def document() -> dict[str, Any]:
    """A run of four steps in the toy world."""
    return copy.deepcopy(DOCUMENT)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the toy world and a second backbone are installed."""
    folder = tmp_path_factory.mktemp("site")
    toy.install(folder)
    install(folder, "wide", (HERE / "plugins" / "wide.py").read_text())
    return folder


@pytest.fixture
def world(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PluginManager]:
    """The toy world is installed, in this process and in those it starts."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    with plugins.use(PluginManager()) as manager:
        yield manager


@pytest.fixture
def graftwork(world: PluginManager, capfd: pytest.CaptureFixture[str]) -> Run:
    """`graftwork("fit", "run.toml")`: run it in this process."""

    def run(*words: object) -> Said:
        capfd.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:  # tyro ends a --help so
            status = int(stop.code or 0)
        captured = capfd.readouterr()
        return Said(status, captured.out, captured.err)

    return run


@pytest.fixture
def console(world: PluginManager) -> Run:
    """`console("fit", "run.toml")`: run the installed script."""

    def run(*words: object, env: Mapping[str, str] | None = None) -> Said:
        done = subprocess.run(
            [script(), *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | dict(env or {}),
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def write_run(tmp_path: Path, document: dict[str, Any]) -> WriteRun:
    """`write_run({"adapter.rank": 3})`: a run file in the toy world, some settings replaced."""

    def write(changes: Mapping[str, Any] | None = None, *, name: str = "run.toml") -> Path:
        table = copy.deepcopy(document)
        for key, value in (changes or {}).items():
            put(table, key, value)
        path = tmp_path / name
        path.write_text(tomli_w.dumps(table))
        return path

    return write


@pytest.fixture
def install_plugin(
    world: PluginManager, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Install]:
    """`install_plugin(twist="...")`: distributions of these sources, installed beside the rest."""
    used: list[Any] = []

    def add(**sources: str) -> None:
        folder = tmp_path_factory.mktemp("more")
        for name, source in sources.items():
            install(folder, name, source)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        context = plugins.use(PluginManager())
        context.__enter__()
        used.append(context)

    yield add
    for context in reversed(used):
        context.__exit__(None, None, None)


def install(folder: Path, name: str, source: str) -> None:
    """A distribution `graftwork-NAME` of one module, as an installer leaves it."""
    info = folder / f"graftwork_{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: graftwork-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[graftwork]\n{name} = graftwork_{name}\n")
    (folder / f"graftwork_{name}.py").write_text(source)


def put(table: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted setting; None takes it away. A part that meets a list is a `kind` in it."""
    *path, last = key.split(".")
    target: Any = table
    for part in path:
        if isinstance(target, list):
            target = next(one for one in target if one["kind"] == part)
        else:
            target = target.setdefault(part, {})
    if value is None:
        del target[last]
    else:
        target[last] = value


def script() -> str:
    """The installed console script of this environment."""
    found = shutil.which("graftwork", path=str(Path(sys.executable).parent))
    assert found, "the console script is not installed beside this Python"
    return found
