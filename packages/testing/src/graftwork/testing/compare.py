"""Comparisons whose failure says what to do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from graftwork.core.errors import GraftworkError


def agree(actual: Tensor, expected: Tensor, *, tolerance: float, remedy: str) -> None:
    """Assert that two tensors agree within `tolerance` of the larger one's size, and are finite."""
    assert actual.shape == expected.shape, (
        f"shape {tuple(actual.shape)} instead of {tuple(expected.shape)}; {remedy}"
    )
    assert actual.isfinite().all(), f"NaN or infinity; {remedy}"
    actual, expected = actual.detach().double(), expected.detach().double()
    size = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    gap = float((actual - expected).abs().max()) if expected.numel() else 0.0
    assert gap <= tolerance * size, f"differs by {gap:.3g} (values up to {size:.3g}); {remedy}"


def same_bits(actual: Tensor, expected: Tensor, *, remedy: str) -> None:
    """Assert that two tensors are equal bit for bit."""
    same = actual.dtype == expected.dtype and torch.equal(actual, expected)
    assert same, f"not equal bit for bit; {remedy}"


def same_state(
    actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, remedy: str
) -> None:
    """Assert that two state dicts have the same keys and the same bits."""
    assert actual.keys() == expected.keys(), (
        f"keys differ: {sorted(actual.keys() ^ expected.keys())}; {remedy}"
    )
    for key, tensor in expected.items():
        same_bits(actual[key], tensor, remedy=f"'{key}': {remedy}")


@contextmanager
def refused(*words: str, remedy: str) -> Iterator[None]:
    """Assert that the block raises a `GraftworkError` whose message has every one of `words`."""
    try:
        yield
    except GraftworkError as error:
        silent = [word for word in words if word not in str(error)]
        if silent:
            pytest.fail(f"'{error}' does not say {silent}; {remedy}")
    except Exception as error:
        pytest.fail(f"{type(error).__name__} ({error}) instead of GraftworkError; {remedy}")
    else:
        pytest.fail(f"accepted; {remedy}")
