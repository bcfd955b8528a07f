"""Telling a command's own flags from overrides of its run file."""

from collections.abc import Sequence

from graftwork.cli.shape import Shape
from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean, nearest


def separate(shape: Shape, argv: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The words of ``argv`` that are the command's own, and its overrides as ``"key=value"``.

    ``--adapter.rank 8`` and ``--adapter.rank=8`` are overrides, and so is a plain ``--seed 3``,
    where the command takes overrides and no flag of its own is close to it. Any other unknown flag
    raises GraftworkError with the nearest one.
    """
    own: list[str] = []
    overrides: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--":  # what follows is no flag, whatever it looks like
            return [*own, word, *words], tuple(overrides)
        if not word.startswith("--") or _flag(word) in shape.flags:
            own.append(word)
        elif _is_override(shape, word):
            overrides.append(_override(word, words))
        else:
            raise _unknown(shape, word)
    return own, tuple(overrides)


def _flag(word: str) -> str:
    return word.partition("=")[0].replace("_", "-")


def _is_override(shape: Shape, word: str) -> bool:
    if not shape.overrides:
        return False
    # Without the dashes, which would make short flags alike.
    own = [flag.removeprefix("--") for flag in shape.flags]
    return "." in _flag(word) or nearest(_flag(word).removeprefix("--"), own) is None


def _override(word: str, following: list[str]) -> str:
    key, equals, value = word.removeprefix("--").partition("=")
    if not equals:
        if not following or following[0].startswith("--"):
            raise GraftworkError(f"--{key}: a value is missing; write --{key}=VALUE")
        value = following.pop(0)
    table, dot, name = key.rpartition(".")
    # Settings are written with "_"; the parts before may be names of plugins, written with "-".
    return f"{table}{dot}{name.replace('-', '_')}={value}"


def _unknown(shape: Shape, word: str) -> GraftworkError:
    given = word.partition("=")[0]
    return GraftworkError(
        f"{shape.command}: unknown flag {given}{did_you_mean(given, sorted(shape.flags))}"
    )
