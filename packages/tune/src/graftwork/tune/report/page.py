"""The page of one search."""

import shlex
from collections import Counter
from pathlib import Path

from graftwork.core import atomic
from graftwork.core.errors import GraftworkError
from graftwork.train import runfile
from graftwork.train.report.page import commands, read_environment
from graftwork.train.report.rendering import render
from graftwork.train.report.sheets import Sheets, read_sheets
from graftwork.tune.report import effects, plots
from graftwork.tune.report.board import Board, read_board
from graftwork.tune.space import METHOD

_STATUSES = {
    "finished": "finished",
    "stopped": "stopped early",
    "failed": "failed",
    "unfinished": "unfinished",
}


def write_report(folder: Path) -> Path:
    """Write `report.html` into a search folder, whatever came of the search.

    Raises:
        GraftworkError: it is no search folder, or cannot be written to.
    """
    if not (folder / "run.toml").is_file():
        raise GraftworkError(f"{folder}: not a search folder (no run.toml); give one of `tune`")
    board = read_board(folder, runfile.read(folder / "run.toml"))
    best = folder / "best"
    page = render(
        "search.html",
        package=__package__,
        name=folder.resolve().name,
        board=board,
        best=board.best,
        counts=counts(board),
        failures=[row for row in board.trials if row.status == "failed"],
        columns=[name for name in board.scores.over if name != METHOD],
        records=[metric.record for metric in board.file.metric],
        sheets=read_sheets(best / "samples") if board.best else Sheets(),
        legend=plots.legend(board),
        trade_off=plots.trade_off(board),
        parameters=effects.against_parameters(board),
        curves=[chart for name in board.metrics[:3] if (chart := plots.over_steps(board, name))],
        losses=plots.losses(board),
        effects=effects.effects(board),
        settings=_text(best / "run.toml"),
        environment=read_environment(folder) or read_environment(best),
        commands=_commands(best, board),
    )
    target = folder / "report.html"
    atomic.write_text(target, page)
    return target


def counts(board: Board) -> list[tuple[int, str]]:
    """How many trials came to which end."""
    found = Counter(row.status for row in board.trials)
    return [(found[status], words) for status, words in _STATUSES.items() if found[status]]


def _commands(best: Path, board: Board) -> list[tuple[str, str]]:
    again = f"graftwork fit {shlex.quote(str(best / 'run.toml'))}"
    given = commands(best, board.file, read_sheets(best / "samples").sample)
    return [("Train it again", again), *given[:-1]]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
