"""Do `graftwork --help` and `graftwork list` start without anything heavy?

Asserts that the heavy modules are absent, with thirty more plugins installed; the CPU time is
printed for people. Runs where `graftwork` is installed.
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

HEAVY = ("torch", "numpy", "ray", "rich", "tyro", "pydantic")
COMMANDS = (["--help"], ["list"])
PLUGINS = 30

PLUGIN = """\
from graftwork.core import AdapterSpec, hookimpl


@hookimpl
def adapters():
    return [
        AdapterSpec(
            name="dummy-{n}", target="dummy_{n}.heavy:Adapter", summary="nothing", family="weight"
        )
    ]
"""

# What the installed command does, then what it left in memory.
PROBE = """\
import contextlib, io, json, sys, time
from importlib import metadata
[entry] = metadata.entry_points(group="console_scripts", name="graftwork")
sys.argv = ["graftwork", *sys.argv[1:]]
said = io.StringIO()
with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
    entry.load()()
print(json.dumps([time.process_time(), sorted(sys.modules), said.getvalue()]))
"""


def main() -> int:
    if not metadata.entry_points(group="console_scripts", name="graftwork"):
        print("startup: the command `graftwork` is not installed; install graftwork-cli")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        for number in range(PLUGINS):
            plant(Path(folder), number)
        problems = [problem(arguments, folder) for arguments in COMMANDS]
    return any(problems)


def plant(folder: Path, number: int) -> None:
    """A plugin whose heavy module fails when it is imported."""
    (folder / f"dummy_{number}").mkdir()
    (folder / f"dummy_{number}/__init__.py").touch()
    (folder / f"dummy_{number}/plugin.py").write_text(PLUGIN.format(n=number))
    (folder / f"dummy_{number}/heavy.py").write_text("raise ImportError('too early')\n")
    info = folder / f"dummy_{number}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dummy-{number}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[graftwork]\ndummy-{number}=dummy_{number}.plugin\n")


def problem(arguments: list[str], folder: str) -> bool:
    """Run one command, say what it cost, and whether that is too much."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROBE, *arguments],
        env=os.environ | {"PYTHONPATH": folder},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(f"graftwork {' '.join(arguments)}: {done.stderr}")
        return True
    seconds, modules, said = json.loads(done.stdout.splitlines()[-1])
    found = sorted(set(HEAVY) & set(modules))
    listed = arguments != ["list"] or said.count("dummy-") >= PLUGINS
    print(f"graftwork {' '.join(arguments)}: {1000 * seconds:.0f} ms of CPU; heavy: {found}")
    if not listed:
        print(f"graftwork list: not all of {PLUGINS} plugins are listed")
    return bool(found) or not listed


if __name__ == "__main__":
    sys.exit(main())
