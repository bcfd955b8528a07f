"""The quick parser answers like the full one, or not at all."""

import pytest

from graftwork.cli import fast, full
from graftwork.cli.shape import shape_of


def simple(name: str | None = None, /, *, json: bool = False, all_of: bool = False) -> None:
    """Words and switches."""


def many(first: str, rest: tuple[str, ...], /) -> None:
    """One and several words."""


def numbers(count: int = 1, /) -> None:
    """A type that only the full parser reads."""


def on(*, colour: bool = True) -> None:
    """A switch that begins on."""


CASES = [
    (simple, ""),
    (simple, "word"),
    (simple, "word --json"),
    (simple, "--all-of --json word"),
    (many, "a b c"),
    (numbers, ""),
]


@pytest.mark.parametrize(("function", "line"), CASES)
def test_both_parsers_agree(function, line: str) -> None:
    shape = shape_of(function, "x")
    quick = fast.bind(shape, line.split())
    assert quick is not None
    positional, named = full.bind(shape, line.split(), example="")
    off = {name: value for name, value in named.items() if value is not False}
    assert quick == (positional, off)


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (simple, "a b"),
        (simple, "--help"),
        (simple, "-h"),
        (simple, "--json=true"),
        (simple, "--no-json"),
        (simple, "-- a"),
        (many, ""),
        (many, "a"),
        (numbers, "3"),
        (on, ""),
    ],
)
def test_the_quick_parser_leaves_the_rest(function, line: str) -> None:
    assert fast.bind(shape_of(function, "x"), line.split()) is None
