"""`graftwork --help` and `graftwork list` start without anything heavy.

Absence is asserted, not time: a machine may be slow, but a module is there or it is not.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = {"torch", "numpy", "ray", "rich", "tyro", "pydantic"}
DUMMIES = 30

# The folder goes onto the path first; then what the console script does, and what it left.
PROBE = """
import contextlib, io, json, sys, time
sys.path.insert(0, sys.argv.pop(1))
from graftwork.cli.main import main
said = io.StringIO()
with contextlib.redirect_stdout(said):
    status = main(sys.argv[1:])
report = {"status": status, "said": said.getvalue(), "modules": sorted(sys.modules)}
print(json.dumps(report | {"seconds": time.process_time()}))
"""

PLUGIN = """
from graftwork.core import AdapterSpec, hookimpl

@hookimpl
def adapters():
    yield AdapterSpec(
        name="dummy-{number}",
        target="dummy_heavy_{number}:Adapter",
        summary="nothing",
        family="weight",
    )
"""


def install(site: Path, number: int, *, source: str = PLUGIN) -> None:
    """A distribution as an installer leaves it; its heavy module must never be imported."""
    info = site / f"graftwork_dummy_{number}-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: graftwork-dummy-{number}\nVersion: 0.1\n"
    )
    (info / "entry_points.txt").write_text(f"[graftwork]\ndummy-{number} = dummy_{number}\n")
    (site / f"dummy_{number}.py").write_text(source.format(number=number))
    (site / f"dummy_heavy_{number}.py").write_text("raise SystemExit('imported')")


def start(site: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(site), *words],
        capture_output=True,
        text=True,
        check=True,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.parametrize("words", [("--help",), ("list",), ("list", "adapters", "--json")])
@pytest.mark.parametrize("dummies", [0, DUMMIES])
def test_nothing_heavy_is_imported(tmp_path: Path, words: tuple[str, ...], dummies: int) -> None:
    for number in range(dummies):
        install(tmp_path, number)
    report = start(tmp_path, *words)
    print(f"{' '.join(words)} with {dummies} more plugins: {report['seconds'] * 1000:.0f} ms CPU")
    assert report["status"] == 0
    assert not HEAVY & set(report["modules"])
    assert not [name for name in report["modules"] if name.startswith("dummy_heavy")]
    if words[0] == "list":
        assert report["said"].count("dummy-") >= dummies


def test_the_dummies_are_loaded_so_that_their_absence_would_show(tmp_path: Path) -> None:
    install(tmp_path, 0)
    assert "dummy_0" in start(tmp_path, "list")["modules"]


def test_the_check_can_fail(tmp_path: Path) -> None:
    install(tmp_path, 0, source="import numpy" + PLUGIN)
    assert "numpy" in start(tmp_path, "--help")["modules"]


def test_a_broken_plugin_costs_one_line_and_nothing_else(tmp_path: Path) -> None:
    install(tmp_path, 0, source="import no_such_module" + PLUGIN)
    report = start(tmp_path, "list")
    assert report["status"] == 0
    assert not HEAVY & set(report["modules"])
