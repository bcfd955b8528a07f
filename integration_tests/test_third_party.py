"""A stranger's plugin, from `graftwork new` to a search, without touching a file of ours.

Rendered, built, installed beside our wheels in a fresh environment, and used.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from repository import ROOT, closure, distributions

pytestmark = pytest.mark.slow

# What the stranger asks for; what these need comes with them.
ASKED = ["graftwork-adapters", "graftwork-cli", "graftwork-data", "graftwork-losses"]
ASKED += ["graftwork-metrics", "graftwork-testing", "graftwork-tune"]
SECONDS = 280


def run(*words: object, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(project: Path, out: Path) -> Path:
    """Its wheel, made by its own build backend."""
    out.mkdir(parents=True, exist_ok=True)
    before = set(out.glob("*.whl"))
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=project)
    (wheel,) = set(out.glob("*.whl")) - before
    return wheel


def hashes() -> dict[str, str]:
    """Every file of ours that a plugin could have had to change."""
    folders = [each.folder for each in distributions()] + [ROOT / "tools"]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for suffix in ("py", "toml", "tmpl", "html")
        for path in folder.rglob(f"*.{suffix}")
    }


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The stranger's own folder; at the end, ours is as it was."""
    before = hashes()
    yield tmp_path_factory.mktemp("stranger")
    assert hashes() == before, "the repository was changed"


@pytest.fixture(scope="module")
def wheels(here: Path) -> list[Path]:
    """Our wheels: those in GRAFTWORK_WHEELS, or built now."""
    every = distributions()
    (core,) = [each for each in every if each.short == "core"]
    chosen = closure(core, ASKED, every)
    given = os.environ.get("GRAFTWORK_WHEELS")
    if not given:
        return [build(each.folder, here / "wheels") for each in chosen]
    patterns = [f"{each.name.replace('-', '_')}-*.whl" for each in chosen]
    return [next(Path(given).glob(pattern)) for pattern in patterns]


@pytest.fixture(scope="module")
def project(here: Path) -> Path:
    """The plugin, as `graftwork new` writes it."""
    script = shutil.which("graftwork", path=str(Path(sys.executable).parent))
    run(script, "new", "adapter", "my-method", "--into", here, cwd=here)
    return here / "graftwork-my-method"


@pytest.fixture(scope="module")
def environment(here: Path, wheels: list[Path], project: Path) -> Path:
    """The programs of a fresh environment with our wheels, the plugin's, and the toy world."""
    wheel = build(project, here / "theirs")
    run("uv", "venv", "--quiet", "--python", sys.executable, here / "venv", cwd=here)
    programs = here / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    pins = ["--constraint", ROOT / "constraints.txt"]
    install = ["uv", "pip", "install", "--quiet", "--python", python, *pins]
    run(*install, *wheels, wheel, cwd=here)
    code = """
import sysconfig
from pathlib import Path
from graftwork.testing import toy
toy.install(Path(sysconfig.get_path("purelib")))
"""
    run(python, "-c", code, cwd=here)
    return programs


@pytest.fixture(scope="module")
def graftwork(environment: Path, here: Path) -> Callable[..., str]:
    """`graftwork("list")`: run it in the fresh environment."""
    quiet = {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}

    def call(*words: object) -> str:
        return run(environment / "graftwork", *words, cwd=here, **quiet)

    return call


def write(here: Path, document: dict[str, Any], **more: Any) -> Path:
    short = {"steps": 4, "batch": 2, "evaluate_every": 2, "checkpoint_every": 2, "threads": 1}
    adapter = {"kind": "my-method", "strength": 2.0}
    table = document | {"adapter": adapter, "train": short, **more}
    path = here / f"{'search' if more else 'run'}.toml"
    path.write_text(tomli_w.dumps(table))
    return path


def test_nothing_comes_from_the_repository(environment: Path, here: Path) -> None:
    code = "import graftwork.nn as n, graftwork_my_method as m; print(n.__file__, m.__file__)"
    for place in run(environment / "python", "-c", code, cwd=here).split():
        assert Path(place).is_relative_to(here / "venv")


def test_its_kit_passes(environment: Path, project: Path) -> None:
    said = run(environment / "python", "-m", "pytest", "-q", cwd=project, OMP_NUM_THREADS="1")
    assert " passed" in said
    assert "failed" not in said


def test_it_is_listed(graftwork: Callable[..., str]) -> None:
    listed = {one["name"]: one for one in json.loads(graftwork("list", "adapters", "--json"))}
    assert listed["my-method"]["provider"] == "graftwork-my-method 0.1.0"
    assert "strength = 1" in graftwork("show", "my-method")
    assert "strength" in graftwork("schema", "adapters/my-method")


def test_a_fit_with_it(graftwork: Callable[..., str], here: Path, document: dict[str, Any]) -> None:
    graftwork("fit", write(here, document), "--out", "fitted")
    card = json.loads((here / "fitted" / "adapter" / "adapter.json").read_text())
    assert card["method"] == "my-method"
    assert card["settings"] == {"strength": 2.0}
    outcome = json.loads((here / "fitted" / "outcome.json").read_text())
    assert outcome["status"] == "finished"
    assert outcome["before"] != outcome["after"], "it learned nothing"
    graftwork("sample", "fitted", "--seeds", "1", "--out", "drawn")
    assert (here / "drawn" / "grid.png").is_file()


def test_a_search_over_it(
    graftwork: Callable[..., str], here: Path, document: dict[str, Any]
) -> None:
    search = {
        "over": ["adapter.kind"],
        "metric": "redness",
        "trials": 2,
        "searcher": "grid",
        "scheduler": "fifo",
        "space": {"adapter.kind": ["my-method", "toy-lora"]},
    }
    said = graftwork("tune", write(here, document, search=search), "--out", "found")
    assert "best run: found/best" in said
    board = json.loads((here / "found" / "leaderboard.json").read_text())
    assert {row["settings"]["adapter.kind"]: row["status"] for row in board["trials"]} == {
        "my-method": "finished",
        "toy-lora": "finished",
    }
    assert "my-method" in (here / "found" / "report.html").read_text()


def test_its_own_range_is_found(environment: Path, here: Path, document: dict[str, Any]) -> None:
    """The range beside the setting in its code is enough for a search."""
    path = write(here, document, search={"over": ["adapter.strength"], "metric": "redness"})
    code = f"""
from graftwork.train import runfile
from graftwork.tune.space import search_space
print(search_space(runfile.read({str(path)!r}))["adapter.strength"])
"""
    said = run(environment / "python", "-c", code, cwd=here)
    assert said.strip() == "Interval(low=0.1, high=10.0, log=True)"
