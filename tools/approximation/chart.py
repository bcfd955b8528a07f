"""Line charts side by side, drawn with Pillow alone."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Points = Sequence[tuple[float, float]]

PANEL, MARGIN, LEGEND, SCALE = (430, 330), (58, 40), 330, 2
COLOURS = (
    "#222222", "#8a8a8a", "#c49a00", "#8c564b", "#bb6bd9", "#2e9e5b",
    "#0b5fa5", "#0b5fa5", "#d1331f", "#d1331f", "#e8842c", "#e8842c",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line; a dashed one is drawn in the colour of the line before."""

    label: str
    points: Points
    dashed: bool = False


def draw(panels: Mapping[str, Sequence[Line]], path: Path, *, x: str, y: str) -> None:
    """Save the panels, two in a row, with one legend. x is logarithmic, y from 0 to 1."""
    rows = math.ceil(len(panels) / 2)
    size = (2 * PANEL[0] + LEGEND, rows * PANEL[1])
    sheet = Image.new("RGB", (size[0] * SCALE, size[1] * SCALE), "white")
    pen = Pen(ImageDraw.Draw(sheet))
    for index, (title, lines) in enumerate(panels.items()):
        left, top = (index % 2) * PANEL[0], (index // 2) * PANEL[1]
        _panel(pen, (left, top), title, lines, (x, y))
    for index, line in enumerate(next(iter(panels.values()))):
        height = 50 + 24 * index
        _stroke(pen, [(2 * PANEL[0] + 10, height), (2 * PANEL[0] + 48, height)], index, line)
        pen.text((2 * PANEL[0] + 56, height - 8), line.label)
    sheet.resize(size, Image.Resampling.LANCZOS).save(path, optimize=True)


class Pen:
    """Drawing in the picture's own units, on a sheet that is larger and so smoother."""

    def __init__(self, canvas: ImageDraw.ImageDraw) -> None:
        self.canvas = canvas
        self.font = ImageFont.load_default(size=13 * SCALE)

    def text(self, place: tuple[float, float], text: str, anchor: str = "la") -> None:
        """Write at a place."""
        spot = (place[0] * SCALE, place[1] * SCALE)
        self.canvas.text(spot, text, fill="#222222", font=self.font, anchor=anchor)

    def line(self, points: Points, colour: str, width: float = 1.0) -> None:
        """A polygonal line."""
        scaled = [(a * SCALE, b * SCALE) for a, b in points]
        self.canvas.line(scaled, fill=colour, width=round(width * SCALE), joint="curve")

    def dot(self, place: tuple[float, float], colour: str) -> None:
        """A small disc."""
        a, b = place[0] * SCALE, place[1] * SCALE
        self.canvas.ellipse((a - 5, b - 5, a + 5, b + 5), fill=colour)


def _panel(
    pen: Pen,
    corner: tuple[int, int],
    title: str,
    lines: Sequence[Line],
    axes: tuple[str, str],
) -> None:
    left, top = corner[0] + MARGIN[0], corner[1] + MARGIN[1]
    width, height = PANEL[0] - MARGIN[0] - 14, PANEL[1] - 2 * MARGIN[1] - 8
    values = [value for line in lines for value, _ in line.points]
    low, high = math.log2(min(values)) - 0.1, math.log2(max(values)) + 0.1

    def place(point: tuple[float, float]) -> tuple[float, float]:
        share = (math.log2(point[0]) - low) / (high - low)
        return left + share * width, top + (1 - min(point[1], 1.0)) * height

    pen.text((left + width / 2, top - 14), title, anchor="mm")
    pen.text((left + width / 2, top + height + 32), axes[0], anchor="mm")
    pen.text((left - 8, top - 14), axes[1], anchor="mm")
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        row = top + (1 - tick) * height
        pen.line([(left, row), (left + width, row)], "#dddddd")
        pen.text((left - 6, row), f"{tick:g}", anchor="rm")
    for power in range(math.ceil(low), math.floor(high) + 1):
        column = place((2.0**power, 0.0))[0]
        pen.line([(column, top), (column, top + height)], "#eeeeee")
        pen.text((column, top + height + 13), f"{2**power}", anchor="mm")
    for index, line in enumerate(lines):
        points = [place(point) for point in line.points]
        _stroke(pen, points, index, line)
        for point in points:
            pen.dot(point, COLOURS[index])


def _stroke(pen: Pen, points: Points, index: int, line: Line) -> None:
    for start, end in itertools.pairwise(points):
        if not line.dashed:
            pen.line([start, end], COLOURS[index], 2)
            continue
        pieces = max(1, round(math.dist(start, end) / 5))
        for piece in range(0, pieces, 2):
            share = [piece / pieces, min(1.0, (piece + 1) / pieces)]
            ends = [
                (start[0] + s * (end[0] - start[0]), start[1] + s * (end[1] - start[1]))
                for s in share
            ]
            pen.line(ends, COLOURS[index], 2)
