"""The checker that the tests put around every function catches wrong shapes, and only those."""

from typing import Self

import numpy as np
import pytest
from jaxtyping import Float, TypeCheckError, jaxtyped
from numpy import ndarray

from shapes import checked


def test_a_wrong_shape_is_an_error() -> None:
    @jaxtyped(typechecker=checked)
    def doubled(x: Float[ndarray, "n"]) -> Float[ndarray, "n"]:
        return np.concatenate([x, x])

    with pytest.raises(TypeCheckError, match="doubled"):
        doubled(np.zeros(3))


def test_an_int_is_a_float() -> None:
    @jaxtyped(typechecker=checked)
    def half(x: float) -> float:
        return x / 2

    assert half(4) == 2.0


def test_hints_without_meaning_at_run_time_are_left_alone() -> None:
    def from_elsewhere(x: "Elsewhere") -> None: ...
    def builder(cls: type) -> Self: ...

    assert checked(from_elsewhere) is from_elsewhere
    assert checked(builder) is builder
