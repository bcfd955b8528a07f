"""The eight flips and transposes of a mosaic that leave its colour pattern true.

A mirrored GBRG mosaic is a BGGR mosaic. Mirroring the packed planes instead keeps their names but
moves each colour by a pixel against the others. Here a mosaic is mirrored as a whole, and an odd
start row or column puts the pattern right again (Liu et al. 2019, arXiv:1904.12945).
"""

from typing import Annotated, NamedTuple

from jaxtyping import Shaped
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.raw.cfa import Pattern
from graftwork.raw.mosaic import pack, unpack

Mode = Annotated[int, "0 to 7"]
"""Bit 0 mirrors left and right, bit 1 up and down, bit 2 then exchanges rows and columns."""

MODES: tuple[Mode, ...] = tuple(range(8))


class Window(NamedTuple):
    """A part of a mosaic."""

    top: int
    """First row; even."""
    left: int
    """First column; even."""
    height: int
    """Rows of the result, after orienting; even."""
    width: int
    """Columns of the result, after orienting; even."""


def orient(
    image: Shaped[Tensor, "*lead height width"], mode: Mode
) -> Shaped[Tensor, "*lead new_height new_width"]:
    """The image mirrored and transposed, whatever its pixels mean."""
    axes = [axis for axis, bit in ((-1, 1), (-2, 2)) if mode & bit]
    flipped = image.flip(axes) if axes else image
    return flipped.transpose(-1, -2) if mode & 4 else flipped


def orient_mosaic(
    mosaic: Shaped[Tensor, "*lead height width"], mode: Mode, pattern: Pattern
) -> Shaped[Tensor, "*lead new_height new_width"]:
    """The mosaic oriented, its pattern kept: up to one pixel is lost on every side."""
    row, column = start(mode, pattern)
    rows, columns = mosaic.shape[-2] - row, mosaic.shape[-1] - column
    return orient(mosaic[..., row:rows, column:columns], mode)


def orient_planes(
    planes: Shaped[Tensor, "*lead 4 height width"], mode: Mode, pattern: Pattern
) -> Shaped[Tensor, "*lead 4 new_height new_width"]:
    """`orient_mosaic` on packed planes; up to one row and column of each is lost."""
    return pack(orient_mosaic(unpack(planes, pattern), mode, pattern), pattern)


def cut(
    mosaic: Shaped[Tensor, "*lead height width"],
    window: Window,
    *,
    mode: Mode = 0,
    pattern: Pattern,
) -> Shaped[Tensor, "*lead new_height new_width"]:
    """A part of the mosaic of the very size of the window, oriented, its pattern kept.

    Nothing is lost: an odd start replaces the pixel that `orient_mosaic` gives away, so the part
    may reach one row and column beyond the window.

    Raises:
        GraftworkError: the window is odd, or reaches out of the mosaic.
    """
    row, column = start(mode, pattern)
    size = (window.width, window.height) if mode & 4 else (window.height, window.width)
    top, left = window.top + row, window.left + column
    _check(window, top + size[0], left + size[1], mosaic)
    return orient(mosaic[..., top : top + size[0], left : left + size[1]], mode)


def start(mode: Mode, pattern: Pattern) -> tuple[int, int]:
    """The row and column, 0 or 1, at which a part must start so that orienting it is harmless."""
    red_row, red_column = divmod(pattern.index("R"), 2)
    wanted = (red_column, red_row) if mode & 4 else (red_row, red_column)
    # Mirroring an even number of rows exchanges even and odd ones.
    found = (red_row ^ (mode >> 1 & 1), red_column ^ (mode & 1))
    return wanted[0] ^ found[0], wanted[1] ^ found[1]


def _check(window: Window, bottom: int, right: int, mosaic: Tensor) -> None:
    if any(value % 2 or value < 0 for value in window) or not window.height * window.width:
        raise GraftworkError(
            f"{tuple(window)}: top, left, height and width of a part of a mosaic must be even; "
            "round them to whole 2×2 cells"
        )
    height, width = mosaic.shape[-2:]
    if bottom > height or right > width:
        raise GraftworkError(
            f"{tuple(window)}: reaches to row {bottom} and column {right} of a mosaic of "
            f"{height}x{width}; choose a smaller part, or leave two rows and columns free"
        )
