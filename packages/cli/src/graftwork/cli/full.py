"""The full parser: tyro, with its errors told in one line."""

import contextlib
import inspect
import io
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro

from graftwork.cli.complaints import complaint
from graftwork.cli.fast import Bound
from graftwork.cli.shape import Argument, Shape
from graftwork.core.errors import GraftworkError

_OVERRIDES = "Any setting of the run file can be given by its dotted name: --adapter.rank 8"


def bind(shape: Shape, words: Sequence[str], *, example: str) -> Bound:
    """Positional and named arguments for the function.

    Prints help and raises ``SystemExit(0)`` for ``--help``; raises GraftworkError for a mistake.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            bound: Bound = tyro.cli(
                _recorder(shape, example), args=list(words), prog=f"graftwork {shape.command}"
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise GraftworkError(complaint(shape, said.getvalue(), example=example)) from None
    return bound


def _recorder(shape: Shape, example: str) -> Callable[..., Bound]:
    """A function that looks like the command's to tyro, and returns what it is called with."""

    def recorder(*positional: object, **named: object) -> Bound:
        return positional, named

    parameters = [_parameter(argument) for argument in shape.arguments]
    recorder.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    recorder.__annotations__ = {each.name: each.annotation for each in parameters}
    recorder.__doc__ = _documentation(shape, example)
    return recorder


def _parameter(argument: Argument) -> inspect.Parameter:
    kind = inspect.Parameter
    named = kind.POSITIONAL_ONLY if argument.positional else kind.KEYWORD_ONLY
    hint: Any = argument.type
    if argument.positional:
        hint = Annotated[hint, tyro.conf.arg(metavar=argument.label)]
    return inspect.Parameter(argument.name, named, default=argument.default, annotation=hint)


def _documentation(shape: Shape, example: str) -> str:
    """The function's docstring, with what tyro cannot know put before its arguments."""
    text = inspect.getdoc(shape.function) or ""
    about, heading, arguments = text.partition("\nArgs:\n")
    more = [_OVERRIDES] if shape.overrides and "--" not in about else []
    more += [f"Example: {example}"] if example else []
    return "\n\n".join([about.rstrip(), *more]) + "\n" + heading + arguments
