"""The command `graftwork tune`."""

from pathlib import Path
from typing import TYPE_CHECKING

from graftwork.core.errors import GraftworkError

if TYPE_CHECKING:
    from graftwork.tune.leaderboard import Leaderboard, Row
    from graftwork.tune.search import Found


def tune(
    run_file: Path,
    /,
    *,
    out: Path | None = None,
    address: str | None = None,
    overrides: tuple[str, ...] = (),
) -> None:
    """Search for the best adapter, loss and hyperparameters, as a run file's [search] says.

    Starts a Ray on this machine, or joins a cluster; any setting of the file can be changed
    here, as `--search.trials 8`.

    Args:
        run_file: a run file with [search] (TOML).
        out: the search folder to make; runs/<name of the file> by default.
        address: of a Ray cluster; "auto" for the one this machine belongs to.
        overrides: settings that replace the file's.
    """
    from graftwork.train import runfile
    from graftwork.tune.search import search

    file = runfile.read(run_file, overrides)
    folder = out or Path("runs") / run_file.stem
    conclude(folder, search(file, folder, address=address))


def resume(folder: Path, *, address: str | None = None) -> None:
    """Go on with an interrupted search; the command line's `resume` calls this."""
    from graftwork.tune.search import resume as resume_search

    conclude(folder, resume_search(folder, address=address))


def conclude(folder: Path, found: "Found") -> None:
    """Write the report and print the leaderboard; an interrupted search says how to go on."""
    from graftwork.train.report import write_report as write_run_report
    from graftwork.tune.report import write_report

    if found.interrupted:
        print(f"interrupted; `graftwork resume {folder}` goes on")
        raise KeyboardInterrupt
    report = write_report(folder)
    print(leaderboard(found.leaderboard))
    if found.leaderboard.best is None:
        said = next(iter(found.reasons), "no trial reported")
        raise GraftworkError(f"{folder}: no trial finished; the first said: {said}")
    write_run_report(folder / "best")
    print(f"best run: {folder / 'best'}\nreport:   {report}")


def leaderboard(board: "Leaderboard", rows: int = 10) -> str:
    """The best trials as an aligned table."""
    names = list(board.trials[0].metrics) if board.trials else []
    head = ["trial", "status", "step", *board.over, *names, "parameters"]
    lines = [head, *(_cells(row, board, names) for row in board.trials[:rows])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(row: "Row", board: "Leaderboard", names: list[str]) -> list[str]:
    settings = [_short(row.settings.get(name, "")) for name in board.over]
    metrics = [_short(row.metrics.get(name, "")) for name in names]
    parameters = f"{row.parameters:,}" if row.parameters else ""
    return [row.id, row.status, str(row.step), *settings, *metrics, parameters]


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
