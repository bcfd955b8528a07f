"""Sizes as products of three factors, the way tensor methods want them."""

import itertools
import math
from collections.abc import Iterator, Sequence
from functools import cache

Factors = tuple[int, ...]


def factorise(size: int, given: Sequence[Sequence[int]] = ()) -> Factors:
    """The factors of a size: those given for it, or else three.

    The three are the even ones with the smallest sum of squares, which is what a tensor-ring
    matrix stores, in rising order; where no three even numbers do (the size is no multiple of 8),
    any three. This yields the factorisations in the code of arXiv:2501.08727 for 320, 640, 768,
    1280 and 2048, [4, 8, 10], [8, 8, 10], [8, 8, 12], [8, 10, 16] and [8, 16, 16]; the rule is
    our reading, for the code has a table.

    Args:
        size: what to factorise, at least 1.
        given: factorisations, each for the size that is its product.
    """
    for factors in given:
        if math.prod(factors) == size:
            return tuple(factors)
    return _three(size)


@cache
def _three(size: int) -> Factors:
    triples = list(_triples(size))
    even = [triple for triple in triples if all(factor % 2 == 0 for factor in triple)]
    return min(even or triples, key=lambda triple: sum(factor**2 for factor in triple))


def _triples(size: int) -> Iterator[Factors]:
    divisors = [each for each in range(1, math.isqrt(size) + 1) if size % each == 0]
    for small, middle in itertools.combinations_with_replacement(divisors, 2):
        rest, left = divmod(size, small * middle)
        if not left and rest >= middle:
            yield small, middle, rest
