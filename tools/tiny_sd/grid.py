"""The picture of the model card: photographs beside samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from tiny_sd import crops, looks
from tiny_sd.sampling import Pictures

SHOWN = 2
TINTS_SHOWN = 3
GAP = 8
LABEL_WIDTH = 92
HEADING_HEIGHT = 24
PALETTE = 224


@dataclass(frozen=True)
class Row:
    """What the grid shows of one subject: pictures [n, 3, 64, 64] in 0..1."""

    subject: str
    real: Pictures
    made: Pictures


def draw_grid(rows: list[Row], path: Path) -> None:
    """Per subject one line: real and made, wide and close, then made with tints."""
    side = crops.IMAGE_SIZE
    headings = ["photos", "samples", "close photos", "close samples", "tinted samples"]
    starts = [LABEL_WIDTH + column * (SHOWN * side + GAP) for column in range(len(headings))]
    size = (starts[-1] + TINTS_SHOWN * side, HEADING_HEIGHT + len(rows) * side)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for start, heading in zip(starts, headings, strict=True):
        pen.text((start + 4, 6), heading, fill="black")
    for line, row in enumerate(rows):
        top = HEADING_HEIGHT + line * side
        pen.text((6, top + side // 2 - 6), row.subject, fill="black")
        for start, group in zip(starts, _groups(row), strict=True):
            for place, pixels in enumerate(looks.to_pixels(group)):
                sheet.paste(Image.fromarray(pixels), (start + place * side, top))
    path.parent.mkdir(parents=True, exist_ok=True)
    # A palette without dithering keeps the picture small enough for a repository.
    sheet.quantize(PALETTE, kmeans=1, dither=Image.Dither.NONE).save(path, optimize=True)


def _groups(row: Row) -> tuple[torch.Tensor, ...]:
    """The pictures under each heading."""
    real, made = row.real, row.made
    shown = [group[:SHOWN] for group in (real.wide, made.wide, real.close, made.close)]
    return (*shown, made.tinted[:TINTS_SHOWN])
