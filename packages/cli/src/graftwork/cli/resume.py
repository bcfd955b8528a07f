"""``graftwork resume``: go on with whatever was interrupted, a run or a search."""

import tomllib
from pathlib import Path

from graftwork.core.importing import import_target


def resume(folder: Path, /, *, address: str | None = None) -> None:
    """Go on with an interrupted run or search from its last checkpoints.

    Args:
        folder: what `fit` or `tune` wrote.
        address: of the Ray cluster to go on with, for a search.
    """
    # By name: each half works without the distribution of the other.
    if is_search(folder):
        go_on = import_target(
            "graftwork.tune.command:resume", place=str(folder), install="graftwork-tune"
        )
        go_on(folder, address=address)
    else:
        go_on = import_target(
            "graftwork.train.commands:resume", place=str(folder), install="graftwork-train"
        )
        go_on(folder)


def report(folder: Path, /) -> None:
    """Write `report.html` of a run or a search again.

    Args:
        folder: what `fit` or `tune` wrote.
    """
    package = "tune" if is_search(folder) else "train"
    write = import_target(
        f"graftwork.{package}.report:write_report",
        place=str(folder),
        install=f"graftwork-{package}",
    )
    print(write(folder))


def is_search(folder: Path) -> bool:
    """Whether a folder holds a search: its run file says so, and it has a folder of trials."""
    return (folder / "trials").is_dir() or _searches(folder / "run.toml")


def _searches(path: Path) -> bool:
    try:
        return "search" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # told by those who read it in earnest
        return False
