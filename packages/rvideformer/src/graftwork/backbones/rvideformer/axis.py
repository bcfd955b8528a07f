"""One axis of a map, cut in windows: which positions meet, and what a window sees beyond its own.

A map is padded at its end to whole windows, rolled back by half a window in shifted blocks, and
cut. All of that is a product over the axes, so here is one.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class AxisClass:
    """What tells the windows along one axis apart."""

    regions: tuple[int, ...]
    """Region of each position; only positions of one region attend to each other."""
    valid: tuple[bool, ...]
    """Which positions may be attended to."""
    coarse_valid: tuple[bool, ...]
    """Which coarse positions, seen from this window, may be."""


@dataclass(frozen=True)
class Axis:
    """One axis of a map."""

    length: int
    """Positions before padding."""
    window: int
    """Positions in a window."""
    shift: int
    """By how many positions the padded map is rolled back."""
    coarse: int
    """Positions of the coarse map."""
    masked: bool
    """Whether padded positions are left out."""

    @property
    def windows(self) -> int:
        """Windows along the axis."""
        return -(-self.length // self.window)

    @property
    def padded(self) -> int:
        """Positions with padding."""
        return self.windows * self.window

    @property
    def cut(self) -> bool:
        """Whether there are positions that are left out."""
        return self.masked and self.padded > self.length

    @property
    def valid(self) -> list[bool]:
        """Which positions of the padded, rolled axis may be attended to."""
        if not self.cut:
            return [True] * self.padded
        return [(p + self.shift) % self.padded < self.length for p in range(self.padded)]

    def start(self, index: int) -> int:
        """The first coarse position that a window sees: half a window before the window's own."""
        if self.coarse == self.padded:
            return index * self.window
        half = self.window // 2
        start = int((index + 0.5) * half) - half
        return min(max(start, 0), self.coarse - self.window)

    def classes(self) -> list[AxisClass]:
        """The class of each window along the axis."""
        if not self.shift and not self.cut:
            alike = AxisClass((0,) * self.window, *((True,) * self.window,) * 2)
            return [alike] * self.windows
        valid = self.valid
        coarse = [any(valid[p] for p in taps(i, self)) for i in range(self.coarse)]
        return [self._class(i, valid, coarse) for i in range(self.windows)]

    def _class(self, index: int, valid: list[bool], coarse: list[bool]) -> AxisClass:
        first, start = index * self.window, self.start(index)
        # The roll brings the map's two ends together in the last window.
        border = self.padded - self.shift
        return AxisClass(
            tuple(int(p >= border) for p in range(first, first + self.window)),
            tuple(valid[first : first + self.window]),
            tuple(coarse[start : start + self.window]),
        )


def taps(index: int, axis: Axis) -> list[int]:
    """The positions that bilinear resizing reads for a coarse position.

    Pixel centres are at half-integers (align_corners off), and nothing is blurred before.
    """
    centre = max((index + 0.5) * axis.padded / axis.coarse - 0.5, 0.0)
    low = int(centre)
    return [low] if centre == low else [low, min(low + 1, axis.padded - 1)]
