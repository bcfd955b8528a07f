"""What this distribution registers: the commands about plugins, and progress on the terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

from graftwork.core import CommandSpec, hookimpl


@hookimpl
def commands() -> Iterable[CommandSpec]:
    """resume, report, list, show, schema, cite, doctor, new."""
    yield CommandSpec(
        name="resume",
        target="graftwork.cli.resume:resume",
        summary="go on with an interrupted run or search",
        example="graftwork resume runs/quickstart",
    )
    yield CommandSpec(
        name="report",
        target="graftwork.cli.resume:report",
        summary="write the report of a run or a search again",
        example="graftwork report runs/quickstart",
    )
    yield CommandSpec(
        name="list",
        target="graftwork.cli.listing:list_plugins",
        summary="names, summaries and providers of all plugins",
        example="graftwork list adapters",
    )
    yield CommandSpec(
        name="show",
        target="graftwork.cli.show:show",
        summary="one plugin with all of its settings",
        example="graftwork show adapters/lora",
    )
    yield CommandSpec(
        name="schema",
        target="graftwork.cli.schema:schema",
        summary="JSON Schema of run files or of a plugin's settings",
        example="graftwork schema adapters/lora",
    )
    yield CommandSpec(
        name="cite",
        target="graftwork.cli.cite:cite",
        summary="BibTeX of the papers behind plugins",
        example="graftwork cite lora dora",
    )
    yield CommandSpec(
        name="doctor",
        target="graftwork.cli.doctor:doctor",
        summary="what is installed, blocked, broken or in conflict",
        example="graftwork doctor",
    )
    yield CommandSpec(
        name="new",
        target="graftwork.cli.scaffold:new",
        summary="write a complete plugin of your own, to fill in",
        example="graftwork new adapter my-method",
    )


@hookimpl
def after_step(run: Any, step: int, logs: Mapping[str, float]) -> None:
    """Show how far a fit is."""
    from graftwork.cli import progress

    progress.show_step(run, step, logs)


@hookimpl
def work_done(what: str, done: int, total: int | None) -> None:
    """Show how far other long work is."""
    from graftwork.cli import progress

    progress.show_work(what, done, total)


@hookimpl
def text_written(text: str) -> None:
    """Show an answer as it comes."""
    print(text, end="", flush=True)


@hookimpl
def after_fit() -> None:
    """Leave the terminal as it was."""
    from graftwork.cli import progress

    progress.close()


# Optional, for the hook comes with graftwork-tune, which may not be installed.
@hookimpl(optionalhook=True)
def search_progress(state: Any) -> None:
    """Show how far a search is."""
    from graftwork.cli import progress

    progress.show_search(state)
