"""Charts as inline SVG: lines and dots between two axes.

Colours are classes, `c0` to `c6` in style.css (Okabe and Ito's palette), so that one drawing
serves light, dark and paper. Whoever cannot tell colours apart has the shapes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from graftwork.train.report.axes import Axis

Points = Sequence[tuple[float, float]]

COLOURS = 7
_SHAPES = (
    "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0",  # circle
    "M0,-6L5.8,4.4H-5.8Z",  # triangle
    "M-4.6,-4.6H4.6V4.6H-4.6Z",  # square
    "M0,-6.4L6.4,0L0,6.4L-6.4,0Z",  # diamond
    "M0,6L5.8,-4.4H-5.8Z",  # triangle on its tip
    "M-6,-2H-2V-6H2V-2H6V2H2V6H-2V2H-6Z",  # plus
)
STAR = "M0,-8L2.2,-2.6L7.6,-2.5L3.3,1L4.8,6.5L0,3.4L-4.8,6.5L-3.3,1L-7.6,-2.5L-2.2,-2.6Z"


@dataclass(frozen=True, kw_only=True)
class Look:
    """Colour and shape of one kind of thing, the same in all charts of a page."""

    colour: int = 0
    shape: str = _SHAPES[0]

    @classmethod
    def of(cls, index: int) -> "Look":
        """The look of the index-th kind; the first 42 all differ."""
        return cls(colour=index % COLOURS, shape=_SHAPES[index % len(_SHAPES)])


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line through points."""

    points: Points
    look: Look = Look()
    weight: str = ""
    """"faint", "strong", "front" or "" for a plain line."""
    tip: str = ""
    key: str = ""
    """Things of one key light up together."""
    end: str = ""
    """Text at the last point."""


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A mark at a point."""

    x: float
    y: float
    look: Look = Look()
    weight: str = ""
    """Any of "hollow", "front", "small", "reference"."""
    tip: str = ""
    key: str = ""
    link: str = ""
    """Where a click on the dot leads, within the page."""
    text: str = ""
    """Text beside the dot."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Lines and dots between two axes."""

    title: str
    x: Axis
    y: Axis
    x_label: str
    y_label: str
    lines: Sequence[Line] = ()
    dots: Sequence[Dot] = ()
    width: int = 380
    height: int = 250
    left: int = 54
    right: int = 18
    top: int = 34
    bottom: int = 48

    @property
    def links(self) -> bool:
        """Whether anything in it can be clicked."""
        return any(dot.link for dot in self.dots)

    def px(self, value: float) -> float:
        """Horizontal place of a value."""
        return round(self.left + self.x.share(value) * (self.width - self.left - self.right), 1)

    def py(self, value: float) -> float:
        """Vertical place of a value."""
        return round(self.height - self.bottom - self.y.share(value) * self.depth, 1)

    @property
    def depth(self) -> int:
        """Height of the field between the axes."""
        return self.height - self.top - self.bottom

    def path(self, line: Line) -> str:
        """The line as an SVG path, broken where a value is missing."""
        drawn = [self.x.holds(x) and self.y.holds(y) for x, y in line.points]
        steps = []
        for (x, y), here, before in zip(line.points, drawn, [False, *drawn], strict=False):
            if here:
                steps.append(f"{'L' if before else 'M'}{self.px(x)},{self.py(y)}")
        return "".join(steps)

    def shown(self) -> Iterator[Dot]:
        """The dots that have a place, plain ones first so that none covers a chosen one."""
        placed = [dot for dot in self.dots if self.x.holds(dot.x) and self.y.holds(dot.y)]
        return iter(sorted(placed, key=lambda dot: ("front" in dot.weight, bool(dot.text))))

    def anchor(self, x: float) -> str:
        """Which part of a text stands at a place, so that it stays in the chart."""
        share = self.x.share(x)
        return "start" if share < 0.08 else "end" if share > 0.9 else "middle"

    def x_ticks(self) -> list[tuple[float, str]]:
        """Ticks of the horizontal axis that leave room between their texts."""
        ticks = self.x.ticks()
        if self.x.names:
            return ticks
        widest = max((len(text) for _, text in ticks), default=0) * 9 + 8
        while any(self.px(b) - self.px(a) < widest for (a, _), (b, _) in pairwise(ticks)):
            ticks = ticks[::2]
        return ticks


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of a legend."""

    text: str
    look: Look
    weight: str = ""
