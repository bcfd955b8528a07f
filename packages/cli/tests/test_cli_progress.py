"""Progress: shown to a person, kept from workers, plain where there is no terminal."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from graftwork.cli import plugin, progress


def run(steps: int) -> Any:
    return SimpleNamespace(file=SimpleNamespace(train=SimpleNamespace(steps=steps)))


@dataclass
class Trial:
    id: str
    status: str = "running"
    step: int = 10
    value: float | None = None
    settings: dict[str, Any] = field(
        default_factory=lambda: {"adapter.kind": "lora", "lr": 0.00123, "sites": "[a]"}
    )


def state(**changes: Any) -> Any:
    trials = {"a": Trial("a", value=0.5, status="finished"), "b": Trial("b")}
    given = {"metric": "fidelity", "total": 4, "steps": 30, "seconds": 12.4, "trials": trials}
    return SimpleNamespace(**{**given, "done": 1, "best": trials["a"], **changes})


@pytest.fixture(autouse=True)
def _closed():
    yield
    progress.close()
    progress.attended = False


@pytest.fixture
def tty(monkeypatch) -> Callable[[], io.StringIO]:
    """Make standard output a terminal; called in the test, for pytest sets its own before it."""

    def begin() -> io.StringIO:
        screen = io.StringIO()
        monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
        monkeypatch.setattr("sys.stdout", screen)
        return screen

    return begin


def test_workers_show_nothing(capsys) -> None:
    plugin.after_step(run=run(10), step=1, logs={"loss": 1.0})
    plugin.search_progress(state=state())
    assert capsys.readouterr().out == ""


def test_plain_lines_are_ten_at_most_and_the_last(capsys) -> None:
    progress.attended = True
    for step in range(1, 104):
        plugin.after_step(run=run(103), step=step, logs={"loss": 0.123456, "lr": 1e-4})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "step 1/103  loss 0.1235  lr 0.0001"
    assert lines[-1].startswith("step 103/103")
    assert len(lines) <= 12


def test_a_search_is_one_line_for_each_piece_of_news(capsys) -> None:
    progress.attended = True
    plugin.search_progress(state=state())
    plugin.search_progress(state=state(best=None, done=0))
    assert capsys.readouterr().out.splitlines() == [
        "1 of 4 trials after 12 s; best fidelity 0.5 (a)",
        "0 of 4 trials after 12 s",
    ]


def test_a_terminal_gets_one_live_line(tty) -> None:
    progress.attended, screen = True, tty()
    for step in (1, 2):
        plugin.after_step(run=run(9), step=step, logs={"loss": 1.0})
    assert progress._live is not None
    plugin.after_fit()
    assert progress._live is None
    assert "step 2/9" in screen.getvalue()


def test_a_terminal_gets_a_table_of_trials(tty) -> None:
    progress.attended, screen = True, tty()
    plugin.search_progress(state=state())
    assert progress._live is not None
    plugin.search_progress(state=state(done=4))
    assert progress._live is None
    assert "adapter.kind" in screen.getvalue()


def test_the_table_has_every_trial_and_setting() -> None:
    console = Console(file=io.StringIO(), width=120)
    console.print(progress._table(state()))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for part in (
        "adapter.kind",
        "lora",
        "0.00123",
        "[a]",
        "10/30",
        "0.5000",
        "finished",
        "running",
    ):
        assert part in text


def test_other_work_is_shown_ten_times_in_all(capsys) -> None:
    progress.attended = True
    for done in range(1, 101):
        plugin.work_done(what="frames", done=done, total=100)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "frames: 1 of 100"
    assert lines[-1] == "frames: 100 of 100"
    assert len(lines) == 11


def test_other_work_of_unknown_length_is_one_line_on_a_terminal(tty) -> None:
    screen = tty()
    progress.attended = True
    for done in range(1, 4):
        plugin.work_done(what="frames", done=done, total=None)
    progress.close()
    assert "frames: 3" in screen.getvalue()
    assert " of " not in screen.getvalue()
