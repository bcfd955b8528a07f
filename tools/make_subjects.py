"""Cut the example subjects out of the photographs that `tiny-sd` never saw.

python tools/make_subjects.py          # writes examples/subjects/<subject>/*.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from tiny_sd import crops, photos
from tiny_sd.crops import Crop
from tiny_sd.photos import Photo

ROOT = Path(__file__).resolve().parent.parent

# Eight views each: centre x, centre y and side in pixels of the photograph, and mirrored or not.
VIEWS: dict[str, tuple[tuple[int, int, int, bool], ...]] = {
    "cat": (
        (230, 150, 300, False),
        (200, 150, 300, True),
        (236, 148, 262, False),
        (240, 165, 250, True),
        (238, 178, 232, False),
        (265, 150, 270, False),
        (246, 172, 214, True),
        (226, 152, 282, False),
    ),
    "cup": (
        (300, 200, 400, False),
        (270, 200, 400, True),
        (300, 190, 360, False),
        (320, 205, 370, True),
        (295, 175, 320, False),
        (280, 200, 345, False),
        (310, 170, 300, True),
        (330, 200, 390, False),
    ),
}


def views(photo: Photo) -> list[Crop]:
    return [
        Crop(x - side / 2, y - side / 2, side, mirrored)
        for x, y, side, mirrored in VIEWS[photo.subject]
    ]


def write_subject(photo: Photo, folder: Path) -> None:
    """Eight numbered PNG files and a line on where they come from."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, crop in enumerate(views(photo), start=1):
        name = f"{photo.subject}-{number}.png"
        Image.fromarray(crops.cut(photo, crop)).save(folder / name, optimize=True)
    file = photo.path.rsplit("/", 1)[-1]
    (folder / "README.md").write_text(
        f"Eight 64x64 crops of `{file}`, a photograph that ships with {photo.package}.\n"
        f"Licence: {photo.licence}.\n"
        "`tiny-sd` never saw it in training. Written by `tools/make_subjects.py`.\n",
        encoding="utf-8",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "examples/subjects")
    out: Path = parser.parse_args().out
    for photo in photos.HELD_OUT_PHOTOS:
        write_subject(photo, out / photo.subject)
        print(f"{photo.subject}: {len(VIEWS[photo.subject])} crops")


if __name__ == "__main__":
    main()
