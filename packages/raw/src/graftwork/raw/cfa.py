"""Colour filter arrays: which colour a pixel of a Bayer mosaic sees.

The four planes of a packed mosaic always stand in the order R, G (on the red row), B, G (on the
blue row), whatever the pattern: the order of Yue et al. 2023, arXiv:2305.00767.
"""

from typing import Literal

Pattern = Literal["RGGB", "GRBG", "GBRG", "BGGR"]
"""The colours of the upper left 2×2 pixels, read row by row."""

PATTERNS: tuple[Pattern, ...] = ("RGGB", "GRBG", "GBRG", "BGGR")

PLANES = ("R", "Gr", "B", "Gb")
"""The planes of a packed mosaic; Gr is the green of the red row."""


def plane_offsets(pattern: Pattern) -> tuple[tuple[int, int], ...]:
    """Row and column in the 2×2 cell of each plane, in the order of `PLANES`.

    >>> plane_offsets("GBRG")
    ((1, 0), (1, 1), (0, 1), (0, 0))
    """
    row, column = divmod(pattern.index("R"), 2)
    return (row, column), (row, 1 - column), (1 - row, 1 - column), (1 - row, column)


def pattern_with_red_at(row: int, column: int) -> Pattern:
    """The pattern whose red lies at that row and column; only their parity counts.

    >>> pattern_with_red_at(3, 0)
    'GBRG'
    """
    return next(each for each in PATTERNS if each.index("R") == 2 * (row % 2) + column % 2)
