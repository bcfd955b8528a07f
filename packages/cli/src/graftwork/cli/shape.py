"""What a command's function takes: positional arguments, flags, and perhaps overrides."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OVERRIDES = "overrides"


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One parameter of a command's function."""

    name: str
    type: Any
    default: Any
    positional: bool

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty

    @property
    def label(self) -> str:
        """How a person calls it: ``RUN-FILE`` or ``--out``."""
        kebab = self.name.replace("_", "-")
        return kebab.upper() if self.positional else f"--{kebab}"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A command's function as the command line sees it."""

    command: str
    function: Callable[..., Any]
    arguments: tuple[Argument, ...]
    overrides: bool
    """Whether it takes ``overrides: tuple[str, ...]``, dotted settings of a run file."""

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags it knows, as ``--out``; ``--no-x`` for switches included."""
        own = [argument for argument in self.arguments if not argument.positional]
        off = [f"--no-{each.label[2:]}" for each in own if each.type is bool]
        return (*(each.label for each in own), *off, "--help")


def shape_of(function: Callable[..., Any], command: str) -> Shape:
    """Read a function's signature; positional-only parameters are positional, others flags."""
    parameters = inspect.signature(function).parameters
    types = typing.get_type_hints(function, include_extras=True)
    return Shape(
        command=command,
        function=function,
        arguments=tuple(
            _argument(parameter, types.get(name, str))
            for name, parameter in parameters.items()
            if name != OVERRIDES
        ),
        overrides=OVERRIDES in parameters,
    )


def _argument(parameter: inspect.Parameter, hint: Any) -> Argument:
    return Argument(
        name=parameter.name,
        type=hint,
        default=parameter.default,
        positional=parameter.kind is inspect.Parameter.POSITIONAL_ONLY,
    )
