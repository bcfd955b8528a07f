"""The yardstick measures what it says, on a file whose figures can be counted by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest

import measure

SOURCE = '''\
"""Equation 3 of arXiv:2106.09685."""


class Layer:
    """A layer."""

    def forward(self, x: Float[Tensor, "n d"]) -> Tensor:
        """Eq. (2)."""
        return x


def bare(x):
    return x


def _private(x):
    return x
'''


def test_figures_of_one_file(repository: Path, write: Callable[[str, str], Path]) -> None:
    path = write("packages/nn/src/graftwork/nn/one.py", SOURCE)
    kloc, middle, largest, function, _, typed, doc, cite, eq, shape, ratio = measure.row(
        measure.read([path]), 34
    )
    assert (kloc, middle, largest, function) == ("0.0", "17", "17", "2")
    assert (typed, doc) == ("50%", "67%")
    assert (cite, eq, shape) == ("58.8", "117.6", "58.8")
    assert ratio == "2.00"


def test_prints_a_row_for_each_and_for_all(
    repository: Path, write: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    write("packages/nn/src/graftwork/nn/one.py", SOURCE)
    assert measure.main(repository) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["nn", "all"]
