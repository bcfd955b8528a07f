"""From a photograph to a 64x64 picture with its caption.

A photograph becomes pictures by random crops around the part worth looking at.  Whether the crop
is wide or tight decides between "a photo" and "a close photo" in the caption, and an optional
duotone adds ", tinted <colour>".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import numpy as np
from PIL import Image

from tiny_sd.photos import Framing, Photo

IMAGE_SIZE = 64
# Photographs are stored no larger than this (short side): a crop is 64x64 in the end.
STORED_SHORT_SIDE = 512

TINTS: dict[str, tuple[int, int, int]] = {
    "red": (214, 52, 46),
    "green": (58, 168, 74),
    "blue": (52, 104, 214),
    "yellow": (232, 194, 44),
    "purple": (146, 66, 186),
}
# Share of the tint in a tinted picture; the rest is the original colour.
TINT_STRENGTH = 0.8


@dataclass(frozen=True)
class Crop:
    """A square of a photograph in pixels of the stored photo, with its look."""

    left: float
    top: float
    side: float
    mirrored: bool = False
    tint: str | None = None


def caption(subject: str, close: bool = False, tint: str | None = None) -> str:
    """The caption grammar: [a photo|a close photo] of <subject>[, tinted <colour>]."""
    text = f"a {'close photo' if close else 'photo'} of {subject}"
    return f"{text}, tinted {tint}" if tint else text


@cache
def load(photo: Photo) -> Image.Image:
    """The photograph as RGB, at most `STORED_SHORT_SIDE` on its short side."""
    with as_file(files(photo.package).joinpath(photo.path)) as path, Image.open(path) as opened:
        image = _flatten(opened)
    if photo.square_white:
        image = _pad_to_square(image)
    short = min(image.size)
    if short > STORED_SHORT_SIDE:
        ratio = STORED_SHORT_SIDE / short
        size = (round(image.width * ratio), round(image.height * ratio))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return image


def _flatten(image: Image.Image) -> Image.Image:
    """RGB, with transparency laid on white."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _pad_to_square(image: Image.Image) -> Image.Image:
    side = max(image.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def cut(photo: Photo, crop: Crop) -> np.ndarray:
    """The crop as pixels, uint8 [64, 64, 3]."""
    box = (crop.left, crop.top, crop.left + crop.side, crop.top + crop.side)
    image = load(photo).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.LANCZOS, box=box)
    if crop.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(image)
    return tint_pixels(pixels, crop.tint) if crop.tint else pixels


def random_crop(
    photo: Photo, framing: Framing, random: np.random.Generator, tint: str | None = None
) -> Crop:
    """A crop inside the photograph, its centre and side drawn from the framing."""
    width, height = load(photo).size
    side = random.uniform(*framing.side) * min(width, height)
    left = random.uniform(*framing.centre_x) * width - side / 2
    top = random.uniform(*framing.centre_y) * height - side / 2
    return Crop(
        left=float(np.clip(left, 0, width - side)),
        top=float(np.clip(top, 0, height - side)),
        side=float(side),
        mirrored=bool(photo.mirror and random.random() < 0.5),
        tint=tint,
    )


def tint_pixels(pixels: np.ndarray, tint: str) -> np.ndarray:
    """A duotone: black stays black, mid grey becomes the colour, white a pale version of it."""
    values = pixels.astype(np.float32) / 255
    light = values @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    colour = np.array(TINTS[tint], dtype=np.float32) / 255
    pale = 0.35 * colour + 0.65
    dark_half = np.clip(light * 2, 0, 1)[..., None] * colour
    bright_half = np.clip(light * 2 - 1, 0, 1)[..., None] * (pale - colour)
    tinted = (1 - TINT_STRENGTH) * values + TINT_STRENGTH * (dark_half + bright_half)
    return (tinted.clip(0, 1) * 255).round().astype(np.uint8)
