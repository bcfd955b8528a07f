"""Pieces of photographs that come inside other wheels; which photograph it is of is the class.

Training pieces lie in the left part of a photograph and test pieces in the right part, so that no
pixel is in both.
"""

import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import torch

from graftwork.core.config import Ge, config
from graftwork.core.errors import GraftworkError
from graftwork.data.images import load_image
from graftwork.data.labelled.label_set import Entry, TrainingSet
from graftwork.data.labelled.settings import LabelledConfig
from graftwork.data.labelled.source import MemoryPicture, Picture, pixels

_TRAIN_WIDTH = 0.65
"""The share of a photograph's width that training pieces are from."""

FILES = {
    "astronaut": "skimage/data/astronaut.png",
    "brick": "skimage/data/brick.png",
    "camera": "skimage/data/camera.png",
    "cell": "skimage/data/cell.png",
    "chelsea": "skimage/data/chelsea.png",
    "china": "sklearn/datasets/images/china.jpg",
    "coffee": "skimage/data/coffee.png",
    "coins": "skimage/data/coins.png",
    "flower": "sklearn/datasets/images/flower.jpg",
    "grass": "skimage/data/grass.png",
    "gravel": "skimage/data/gravel.png",
    "hubble": "skimage/data/hubble_deep_field.jpg",
    "ihc": "skimage/data/ihc.png",
    "moon": "skimage/data/moon.png",
    "motorcycle": "skimage/data/motorcycle_left.png",
    "page": "skimage/data/page.png",
    "retina": "skimage/data/retina.jpg",
    "rocket": "skimage/data/rocket.jpg",
    "text": "skimage/data/text.png",
}
"""The photographs by name, and where they lie; the wheels name photographers and licences."""


@config
class PhotoPatchesConfig(LabelledConfig):
    """Settings of the pieces of photographs."""

    pieces: Annotated[int, Ge(1)] = 60
    """Training pieces of each photograph."""

    test_pieces: Annotated[int, Ge(1)] = 30
    """Test pieces of each."""

    side: Annotated[int, Ge(8)] = 32
    """Side of a piece in pixels; at most 60, for the smallest photographs."""


class PhotoPatches(TrainingSet):
    """Squares cut from photographs, the same at every reading.

    Raises:
        GraftworkError: a wheel is not installed, or a photograph is too small for `side`.
    """

    def __init__(self, settings: PhotoPatchesConfig) -> None:
        names = settings.classes or tuple(FILES)
        parts: tuple[list[Entry], list[Entry]] = ([], [])
        for name in (one for one in names if one in FILES):
            photograph = pixels(load_image(_path(name)))
            edge = round(_TRAIN_WIDTH * photograph.shape[2])
            halves = (photograph[:, :, :edge], photograph[:, :, edge:])
            for part, half, count in zip(
                parts, halves, (settings.pieces, settings.test_pieces), strict=True
            ):
                part += _cut(half, name, count, settings, test=part is parts[1])
        super().__init__(parts[0], tuple(FILES), settings, test=parts[1])


def _cut(
    photograph: Picture, name: str, count: int, settings: PhotoPatchesConfig, *, test: bool
) -> list[Entry]:
    """Squares from anywhere in a photograph."""
    side, part = settings.side, "test" if test else "train"
    height, width = photograph.shape[-2:]
    if side > min(height, width):
        raise GraftworkError(
            f"data.side: {side} is more than the {min(height, width)} pixels of '{name}'; make it "
            "smaller, or leave that one out of data.classes"
        )
    seed = zlib.crc32(f"{settings.seed}/{name}/{part}".encode())
    generator = torch.Generator().manual_seed(seed)
    tops = torch.randint(height - side + 1, (count,), generator=generator).tolist()
    lefts = torch.randint(width - side + 1, (count,), generator=generator).tolist()
    return [
        Entry(
            name=f"{name} {part} {place}",
            source=MemoryPicture(photograph[:, top : top + side, left : left + side].clone()),
            label=name,
        )
        for place, (top, left) in enumerate(zip(tops, lefts, strict=True))
    ]


def _path(name: str) -> Path:
    package, _, file = FILES[name].partition("/")
    found = find_spec(package)
    if found is None or found.origin is None:
        raise GraftworkError(
            f"photograph '{name}': lies in the wheel of {package}, which is not installed; run: "
            "pip install 'graftwork-data[offline]'"
        )
    return Path(found.origin).parent / file
