"""Draw the README's picture from a finished demo, its best run or a trial that is named.

    python tools/make_demo_picture.py runs/quickstart-1
    python tools/make_demo_picture.py runs/quickstart-1/trials/00001

Frozen and adapted samples of the first prompt, and pictures of the subject, side by side.
"""

import argparse
import json
from pathlib import Path

from PIL import Image

NAMES = ("frozen", "adapted", "reference")
GAP = 2
SCALE = 2
APART = 24


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("search", type=Path, help="the folder of a search, or of a run of it")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures/demo.png"))
    arguments = parser.parse_args()
    run = arguments.search / "best" if (arguments.search / "best").exists() else arguments.search
    samples = run / "samples"
    columns = json.loads((samples / "rows.json").read_text())["columns"]
    strips = [first_row(samples / f"{name}.png", columns) for name in NAMES]
    width = sum(strip.width for strip in strips) + APART * (len(strips) - 1)
    sheet = Image.new("RGB", (width, strips[0].height), "white")
    left = 0
    for strip in strips:
        sheet.paste(strip, (left, 0))
        left += strip.width + APART
    sheet.save(arguments.out)
    print(f"wrote {arguments.out}")
    return 0


def first_row(path: Path, columns: int) -> Image.Image:
    """The first `columns` tiles of a sheet's first row, enlarged."""
    sheet = Image.open(path)
    tile = tile_side(sheet, path)
    strip = sheet.crop((0, 0, columns * (tile + GAP) - GAP, tile))
    return strip.resize((strip.width * SCALE, strip.height * SCALE), Image.Resampling.LANCZOS)


def tile_side(sheet: Image.Image, path: Path) -> int:
    """Side of a sheet's square tiles, from how many there are in a row."""
    rows = json.loads(path.with_name("rows.json").read_text())
    count = (rows["reference"] if path.stem == "reference" else rows)["columns"]
    return (sheet.width + GAP) // count - GAP


if __name__ == "__main__":
    raise SystemExit(main())
