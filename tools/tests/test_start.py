"""The bootstrap knows its two words, and the sessions that they stand for exist."""

import re

import pytest

import start
from repository import ROOT


@pytest.mark.parametrize("arguments", [[], ["tset"], ["test", "more"]])
def test_other_words_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert start.main(arguments) == 2
    assert capsys.readouterr().err == "start.py: say what to start: demo or test\n"


def test_every_task_is_a_session() -> None:
    sessions = re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    assert {name for names in start.TASKS.values() for name in names} <= set(sessions)


def test_nox_and_uv_are_pinned() -> None:
    assert [line.split("==")[0] for line in start.constraints() if re.match("(nox|uv)==", line)]


def test_sessions_without_pytest_are_not_repeated() -> None:
    lines = ["Running session lint", "Running session tests", "=== 3 passed in 1s ==="]
    assert start.with_result(lines) == lines[1:]
