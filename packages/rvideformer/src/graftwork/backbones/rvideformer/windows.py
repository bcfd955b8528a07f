"""Window geometry: how a map of frames, rows and columns is cut, shifted and padded.

Windows that look alike (the same regions, the same padding) form a class, and each class is
attended to in one call: without masked padding at most eight, in place of a mask for every window.
"""

from dataclasses import dataclass
from itertools import product

from graftwork.backbones.rvideformer.axis import Axis, AxisClass
from graftwork.backbones.rvideformer.caching import constant
from graftwork.backbones.rvideformer.config import BranchMode, Padding

# A map of more windows than this in height has neighbourhoods where the mode is "auto".
_GLOBAL_UP_TO = 4

Three = tuple[int, int, int]


@dataclass(frozen=True)
class WindowClass:
    """Windows that share their masks."""

    axes: tuple[AxisClass, AxisClass, AxisClass]
    """Along frames, rows and columns."""
    windows: int
    """How many there are."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How one map is cut; of three values, for frames, rows and columns. Plain values alone."""

    size: Three
    """The map before padding."""
    padding: Three
    """Positions added at the end of each axis."""
    shifts: Three
    """Positions by which the padded map is rolled back."""
    window: Three
    """Sides of a window."""
    windows: Three
    """Windows along each axis."""
    coarse: tuple[int, int]
    """Rows and columns of the coarse map."""
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    """Where on the coarse map each window's view begins, along each axis."""
    valid: tuple[tuple[bool, ...], tuple[bool, ...]]
    """Rows and columns of the padded, rolled map that count in averages."""
    cut: bool
    """Whether some of them do not."""
    classes: tuple[WindowClass, ...]
    """The classes of windows."""
    order: tuple[int, ...]
    """The windows sorted by class."""


@constant
def geometry(
    size: Three, *, window: Three, shifted: bool, mode: BranchMode, padding: Padding
) -> Geometry:
    """Cut a map of `size` frames, rows and columns.

    An axis not longer than its window is not shifted. In neighbour mode the coarse map has half
    the resolution, in global mode the size of one window; where a neighbourhood would be larger
    than the map (one window across), it is that window at full resolution.
    """
    if mode == "auto":
        mode = "neighbour" if -(-size[1] // window[1]) > _GLOBAL_UP_TO else "global"
    frames, rows, cols = axes = tuple(
        _axis(size[i], window[i], shifted, mode if i else None, padding) for i in range(3)
    )
    classes, order = _classes(frames, rows, cols)
    return Geometry(
        size=size,
        padding=tuple(axis.padded - axis.length for axis in axes),  # type: ignore[arg-type]
        shifts=(frames.shift, rows.shift, cols.shift),
        window=window,
        windows=(frames.windows, rows.windows, cols.windows),
        coarse=(rows.coarse, cols.coarse),
        starts=tuple(tuple(map(axis.start, range(axis.windows))) for axis in axes),  # type: ignore[arg-type]
        valid=(tuple(rows.valid), tuple(cols.valid)),
        cut=rows.cut or cols.cut,
        classes=classes,
        order=order,
    )


def _axis(length: int, side: int, shifted: bool, mode: BranchMode | None, padding: Padding) -> Axis:
    """One axis; without a mode that of frames, all of which the coarse map has."""
    padded = -(-length // side) * side
    coarse = {None: padded, "neighbour": max(padded // 2, side)}.get(mode, side)
    shift = side // 2 if shifted and length > side else 0
    return Axis(length, side, shift, coarse, padding == "masked")


def _classes(
    frames: Axis, rows: Axis, cols: Axis
) -> tuple[tuple[WindowClass, ...], tuple[int, ...]]:
    members: dict[tuple[AxisClass, AxisClass, AxisClass], list[int]] = {}
    keys = product(frames.classes(), rows.classes(), cols.classes())
    for number, key in enumerate(keys):
        members.setdefault(key, []).append(number)
    classes = tuple(WindowClass(key, len(numbers)) for key, numbers in members.items())
    return classes, tuple(number for numbers in members.values() for number in numbers)
