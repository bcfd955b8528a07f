"""From a command's name and words to a call of its function."""

from collections.abc import Sequence

from graftwork.cli import fast
from graftwork.cli.flags import separate
from graftwork.cli.shape import Shape, shape_of
from graftwork.core import registry
from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean
from graftwork.core.records import CommandSpec


def run_command(name: str, argv: Sequence[str]) -> int:
    """Run the command of that name; its exit status, 0 if its function returns None."""
    record = _find(name)
    shape = shape_of(record.load(), name)
    words, overrides = separate(shape, argv)
    arguments = fast.bind(shape, words)
    if arguments is None:
        arguments = _bind_with_tyro(shape, words, record)
    positional, named = arguments
    if shape.overrides:
        named = {**named, "overrides": overrides}
    result = shape.function(*positional, **named)
    return result if isinstance(result, int) else 0


def _find(name: str) -> CommandSpec:
    if name.startswith("-"):
        raise GraftworkError(f"{name}: unknown flag{did_you_mean(name, ['--help', '--version'])}")
    try:
        record = registry.find("commands", name)
    except GraftworkError as error:
        unknown = f"commands: unknown name {name!r}"
        raise GraftworkError(str(error).replace(unknown, f"unknown command {name!r}")) from error
    assert isinstance(record, CommandSpec)
    return record


def _bind_with_tyro(
    shape: Shape, words: Sequence[str], record: CommandSpec
) -> tuple[tuple[object, ...], dict[str, object]]:
    from graftwork.cli import full

    return full.bind(shape, words, example=record.example)
