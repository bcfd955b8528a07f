"""A parser for commands whose arguments are words and switches, without an import.

It answers only where there is no doubt; everything else, mistakes and ``--help`` included, is
left to the full parser, which is slower to import.
"""

from collections.abc import Sequence
from typing import Any

from graftwork.cli.shape import Argument, Shape

Bound = tuple[tuple[object, ...], dict[str, object]]

_WORD: tuple[Any, ...] = (str, str | None)
_WORDS: Any = tuple[str, ...]


def bind(shape: Shape, words: Sequence[str]) -> Bound | None:
    """Positional and named arguments for the function, or None in any doubt."""
    switches = {each.label: each.name for each in shape.arguments if _is_switch(each)}
    positional = [each for each in shape.arguments if each.positional]
    if len(switches) + len(positional) < len(shape.arguments):
        return None
    plain = [word for word in words if word not in switches]
    if any(word.startswith("-") for word in plain):
        return None
    taken = _positional(positional, plain)
    named: dict[str, object] = {switches[word]: True for word in words if word in switches}
    return None if taken is None else (taken, named)


def _is_switch(argument: Argument) -> bool:
    return not argument.positional and argument.type is bool and argument.default is False


def _positional(arguments: Sequence[Argument], words: list[str]) -> tuple[object, ...] | None:
    taken: list[object] = []
    for argument in arguments:
        if argument.type == _WORDS and words:
            taken.append(tuple(words))
            words = []
        elif argument.type in _WORD and words:
            taken.append(words.pop(0))
        elif not words and not argument.required:
            taken.append(argument.default)
        else:
            return None
    return None if words else tuple(taken)
