"""How far a fit or a search is: a live display on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.live import Live

attended = False
"""Whether a person started this process with the command ``graftwork``; `main` says so.

The workers of a search load the same plugins, and have nobody to show progress to.
"""

_live: "Live | None" = None


def show_step(run: Any, step: int, logs: Mapping[str, float]) -> None:
    """After an optimiser step: one line, rewritten on a terminal, ten in all elsewhere."""
    if not attended:
        return
    total = run.file.train.steps
    line = f"step {step}/{total}  " + "  ".join(f"{key} {logs[key]:.4g}" for key in logs)
    if sys.stdout.isatty():
        from rich.text import Text

        _draw(Text(line))
    elif step in (1, total) or step % max(1, total // 10) == 0:
        print(line, flush=True)


def show_work(what: str, done: int, total: int | None) -> None:
    """After a part of other work: one line, rewritten on a terminal, ten in all elsewhere."""
    if not attended:
        return
    line = f"{what}: {done}" + (f" of {total}" if total else "")
    if sys.stdout.isatty():
        from rich.text import Text

        _draw(Text(line))
        if done == total:
            close()
    elif done in (1, total) or done % max(1, (total or 1000) // 10) == 0:
        print(line, flush=True)


def show_search(state: Any) -> None:
    """After a trial's news: a table of all trials on a terminal, one line elsewhere."""
    if not attended:
        return
    if sys.stdout.isatty():
        _draw(_table(state))
    else:
        print(_summary(state), flush=True)
    if state.done >= state.total:
        close()


def close() -> None:
    """End the live display and leave what it last showed."""
    global _live
    if _live is not None:
        _live.stop()
        _live = None


def _draw(shown: Any) -> None:
    global _live
    if _live is None:
        from rich.live import Live

        _live = Live(auto_refresh=False)
        _live.start()
    _live.update(shown, refresh=True)


def _summary(state: Any) -> str:
    best = f"; best {state.metric} {state.best.value:.4g} ({state.best.id})" if state.best else ""
    return f"{state.done} of {state.total} trials after {state.seconds:.0f} s{best}"


def _table(state: Any) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=_summary(state), title_justify="left", box=None)
    names = sorted({name for trial in state.trials.values() for name in trial.settings})
    for heading in ("trial", "status", "step", *names, state.metric):
        table.add_column(heading)
    for trial in state.trials.values():
        value = "" if trial.value is None else f"{trial.value:.4f}"
        # As Text, for rich would read "[...]" in a setting as markup.
        cells = [Text(_cell(trial.settings.get(name, ""))) for name in names]
        style = "bold green" if state.best is not None and trial.id == state.best.id else None
        step = f"{trial.step}/{state.steps}"
        table.add_row(trial.id, trial.status, step, *cells, value, style=style)
    return table


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
