"""The picture of the model card: photographs beside samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from tiny_sd import crops, looks
from tiny_sd.sampling import Pictures

SHOWN = 3
GAP = 8
LABEL_WIDTH = 92
HEADING_HEIGHT = 24
PALETTE = 56


@dataclass(frozen=True)
class Row:
    """What the grid shows of one subject: pictures [n, 3, 64, 64] in 0..1."""

    subject: str
    real: Pictures
    made: Pictures


def draw_grid(rows: list[Row], path: Path) -> None:
    """Per subject one line: real and made, wide and close, then made with tints."""
    side = crops.IMAGE_SIZE
    headings = ["photographs", "samples", "close photographs", "close samples", "tinted samples"]
    strip = SHOWN * side + GAP
    sheet = Image.new(
        "RGB", (LABEL_WIDTH + len(headings) * strip, HEADING_HEIGHT + len(rows) * side), "white"
    )
    pen = ImageDraw.Draw(sheet)
    for column, heading in enumerate(headings):
        pen.text((LABEL_WIDTH + column * strip + 4, 6), heading, fill="black")
    for line, row in enumerate(rows):
        top = HEADING_HEIGHT + line * side
        pen.text((6, top + side // 2 - 6), row.subject, fill="black")
        groups = (row.real.wide, row.made.wide, row.real.close, row.made.close, row.made.tinted)
        for column, group in enumerate(groups):
            for place, pixels in enumerate(looks.to_pixels(group[:SHOWN])):
                left = LABEL_WIDTH + column * strip + place * side
                sheet.paste(Image.fromarray(pixels), (left, top))
    path.parent.mkdir(parents=True, exist_ok=True)
    # A palette without dithering keeps the picture small enough for a repository.
    sheet.quantize(PALETTE, dither=Image.Dither.NONE).save(path, optimize=True)
