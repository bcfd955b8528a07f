"""The command line as a person meets it: help, mistakes, exit statuses."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from graftwork.cli.complaints import complaint
from graftwork.cli.shape import shape_of
from graftwork.core import CommandSpec, hookimpl


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_help_is_a_table_of_commands(graftwork, words) -> None:
    said = graftwork(*words)
    assert said.status == 0
    lines = [line.split(None, 1) for line in said.out.splitlines() if line.startswith("  ")]
    assert ["fit", "fit it"] in lines
    assert [name for name, _ in lines] == sorted(name for name, _ in lines)
    assert {"list", "show", "schema", "cite", "doctor", "new"} <= {name for name, _ in lines}


def test_version(graftwork) -> None:
    assert graftwork("--version").out.split()[0] == "graftwork"


def test_help_of_a_command_shows_its_arguments_its_example_and_its_docs(graftwork) -> None:
    said = graftwork("fit", "--help")
    assert said.status == 0
    for part in ("RUN-FILE", "the run file (TOML).", "--out", "Train an adapter.", "--workers INT"):
        assert part in said.out
    assert "Example: graftwork fit examples/cat.toml" in said.out
    assert "--adapter.rank 8" in said.out
    assert "--overrides" not in said.out


def test_a_command_is_called_with_what_was_written(graftwork, calls) -> None:
    assert graftwork("fit", "run.toml", "--out", "o", "--workers=3", "--quiet").status == 0
    assert calls == [(Path("run.toml"), Path("o"), 3, "max", True, ())]


def test_overrides_are_collected_in_order(graftwork, calls) -> None:
    words = "--adapter.rank 8 run.toml --loss.min-snr.max-weight=0.5 --seed 3 --a.b=-1 --a.c -2"
    assert graftwork("fit", *words.split(), "--workers", "2").status == 0
    overrides = ("adapter.rank=8", "loss.min-snr.max_weight=0.5", "seed=3", "a.b=-1", "a.c=-2")
    assert calls == [(Path("run.toml"), None, 2, "max", False, overrides)]


def test_an_override_keeps_spaces_and_equals_signs(graftwork, calls) -> None:
    graftwork("fit", "run.toml", "--data.caption", "a = b", "--data.trigger=x=y")
    assert calls[0][-1] == ("data.caption=a = b", "data.trigger=x=y")


def test_the_status_of_a_command_is_the_exit_status(graftwork) -> None:
    assert graftwork("plain", "--rate", "0.5").status == 7


BAD = {
    ("lst",): "unknown command 'lst'; did you mean 'list'?",
    ("zzzzzz",): "unknown command 'zzzzzz'; known: ",
    ("--halp",): "--halp: unknown flag; did you mean '--help'?",
    ("fit",): "fit: RUN-FILE is missing; as in: graftwork fit examples/cat.toml",
    ("fit", "x", "--outt", "y"): "fit: unknown flag --outt; did you mean '--out'?",
    ("fit", "x", "--no-quite"): "fit: unknown flag --no-quite; did you mean '--no-quiet'?",
    (
        "fit",
        "x",
        "--adapter.rank",
    ): "--adapter.rank: a value is missing; write --adapter.rank=VALUE",
    ("fit", "x", "--adapter.rank", "--quiet"): "--adapter.rank: a value is missing",
    ("fit", "x", "y"): "fit: does not expect y; see: graftwork fit --help",
    ("fit", "x", "--workers", "two"): "fit: --workers: expected a whole number, got 'two'; see: ",
    ("fit", "x", "--workers"): "fit: --workers: a value is missing; see: graftwork fit --help",
    ("fit", "x", "--mode", "best"): "fit: --mode: got 'best', expected one of: 'max', 'min'; see: ",
    ("plain",): "plain: --rate is missing; see: graftwork plain --help",
    ("plain", "--rate", "fast"): "plain: --rate: expected a number, got 'fast'; see: ",
    ("plain", "--seed", "3"): "plain: unknown flag --seed; known: --help, --rate",
    ("plain", "--a.b", "3"): "plain: unknown flag --a.b; known: --help, --rate",
    ("plain", "--rate", "1", "-z"): "plain: does not expect -z; see: graftwork plain --help",
    ("list", "--jsn"): "list: unknown flag --jsn; did you mean '--json'?",
    ("list", "adapter"): "list: unknown kind 'adapter'; did you mean 'adapters'?",
    ("list", "adapters", "losses"): "list: does not expect losses; see: graftwork list --help",
    ("show",): "show: NAME is missing; as in: graftwork show adapters/lora",
    ("mistake",): "run.toml: wrong on two lines; mend it",
}


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_a_mistake_is_one_line_that_names_it(graftwork, calls, words) -> None:
    said = graftwork(*words)
    assert said.status == 2
    assert said.err.startswith(f"error: {BAD[words]}")
    assert said.err.count("\n") == 1
    assert "╭" not in said.err
    assert not said.out
    assert not calls


UNICODE_BOX = """\
╭─ Value error ──────────────────╮
│ Error parsing --workers: could │
│ not do it.                     │
│ ────────────────────────────── │
│ For full helptext, see x       │
╰────────────────────────────────╯
"""
PLAIN_BOX = """\
 Value error
 --------------------------------
  Error parsing --workers: could
  not do it.
  --------------------------------
  For full helptext, see x
"""


@pytest.mark.parametrize("box", [UNICODE_BOX, PLAIN_BOX, PLAIN_BOX.replace(" ---", "---")])
def test_a_box_in_any_encoding_becomes_one_line(box: str) -> None:
    line = "x: --workers: could not do it; see: graftwork x --help"
    assert complaint(shape_of(lambda: None, "x"), box, example="") == line


def test_an_empty_box_still_makes_a_line() -> None:
    line = "x: the arguments do not fit; see: graftwork x --help"
    assert complaint(shape_of(lambda: None, "x"), "", example="") == line


def test_debugging_shows_where_a_mistake_was_found(graftwork, monkeypatch) -> None:
    monkeypatch.setenv("GRAFTWORK_DEBUG", "1")
    said = graftwork("mistake")
    assert said.status == 2
    assert "Traceback" in said.err
    assert said.err.splitlines()[-1].startswith("error: run.toml")


def test_an_interrupt_is_one_line(graftwork) -> None:
    said = graftwork("interrupt")
    assert (said.status, said.err) == (130, "interrupted\n")


def test_a_command_whose_code_is_missing_says_what_to_install(graftwork, manager) -> None:
    spec = CommandSpec(name="far", target="no_such_module:far", summary="far")
    plugin = SimpleNamespace(commands=hookimpl(lambda: [spec]))
    manager.register(plugin, "far", distribution="graftwork-far", version="1")
    said = graftwork("far")
    assert said.status == 2
    assert said.err.endswith("run: pip install 'graftwork-far'\n")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "graftwork.cli.main", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
