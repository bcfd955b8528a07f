"""Blocks of code in Markdown run, are written, or are left out, as their marks say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import run_docs

TICKS = "`" * 3


def document(tmp_path: Path, *parts: str) -> Path:
    file = tmp_path / "guide.md"
    file.write_text("\n\n".join(part.replace("'''", TICKS) for part in parts) + "\n")
    return file


def test_blocks_share_names_and_run_in_order(tmp_path: Path) -> None:
    file = document(tmp_path, "'''python\nx = 1\n'''", "Then:", "'''python\nassert x == 1\n'''")
    assert run_docs.main(file) == 0


def test_an_error_names_its_line(tmp_path: Path) -> None:
    file = document(tmp_path, "# Title", "'''python\n1 / 0\n'''")
    with pytest.raises(ZeroDivisionError) as error:
        run_docs.main(file)
    last = error.traceback[-1]
    assert (last.path, last.lineno + 1) == (file, 4)


def test_a_skipped_block_has_a_reason(tmp_path: Path) -> None:
    assert run_docs.main(document(tmp_path, "<!-- skip: slow -->\n'''python\n1 / 0\n'''")) == 0
    with pytest.raises(SystemExit, match="needs a value"):
        run_docs.main(document(tmp_path, "<!-- skip -->\n'''python\n1 / 0\n'''"))


def test_written_files_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    written = "<!-- write: written_by_docs.py -->\n'''python\nanswer = 42\n'''"
    used = "'''python\nimport written_by_docs\nassert written_by_docs.answer == 42\n'''"
    assert run_docs.main(document(tmp_path, written, used)) == 0


def test_shell_runs_only_where_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "graftwork"
    command.write_text("#!/bin/sh\nexit 3\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    shell = "'''console\n$ graftwork fit run.toml\n'''"
    assert run_docs.main(document(tmp_path, shell)) == 0
    with pytest.raises(subprocess.CalledProcessError, match="exit status 3"):
        run_docs.main(document(tmp_path, f"<!-- run -->\n{shell}"))


def test_commands_are_the_lines_that_call_graftwork() -> None:
    code = "$ graftwork fit \\\n    run.toml\npip install x\nloss 0.1\ngraftwork list\n"
    assert [line.split() for line in run_docs.commands(code)] == [
        ["graftwork", "fit", "run.toml"],
        ["graftwork", "list"],
    ]
