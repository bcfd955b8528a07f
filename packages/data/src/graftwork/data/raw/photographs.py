"""Photographs that come inside other wheels, so that training and tests download nothing.

They lie in scikit-image's and scikit-learn's wheels and are read by path; neither is imported.
Most are JPEGs or were: their blocks are in the truth, which is clean enough, not clean.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean
from graftwork.data.images import load_image

Split = Literal["train", "test"]
"""Photographs are split by picture: no scene is in both."""


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """One photograph and whom to thank for it."""

    name: str
    split: Split
    package: Literal["skimage", "sklearn"]
    file: str
    licence: str


def _skimage(name: str, file: str, split: Split, licence: str) -> Photograph:
    path = f"data/{file}"
    return Photograph(name=name, split=split, package="skimage", file=path, licence=licence)


def _sklearn(name: str, split: Split, licence: str) -> Photograph:
    path = f"datasets/images/{name}.jpg"
    return Photograph(name=name, split=split, package="sklearn", file=path, licence=licence)


PHOTOGRAPHS: tuple[Photograph, ...] = (
    _skimage("astronaut", "astronaut.png", "train", "NASA, public domain"),
    _skimage("chelsea", "chelsea.png", "train", "CC0 by the photographer, Stefan van der Walt"),
    _skimage(
        "motorcycle",
        "motorcycle_left.png",
        "train",
        "Middlebury 2014 stereo benchmark (Scharstein et al.); scikit-image names no licence",
    ),
    _skimage("rocket", "rocket.jpg", "train", "SpaceX, public domain"),
    _skimage("retina", "retina.jpg", "train", "CC0 by Mikael Häggström"),
    _skimage("hubble", "hubble_deep_field.jpg", "train", "NASA, public domain"),
    _skimage(
        "ihc",
        "ihc.png",
        "train",
        "Center for Microscopy And Molecular Imaging; no known copyright restrictions",
    ),
    _sklearn(
        "china",
        "test",
        "CC BY 2.0, danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035/",
    ),
    # The package's own note names another photographer than its link does.
    _sklearn(
        "flower",
        "test",
        "CC BY 2.0; scikit-learn credits danielbuechele and links to "
        "https://www.flickr.com/photos/vultilion/6056698931/",
    ),
    _skimage("coffee", "coffee.png", "test", "CC0 by the photographer, Rachel Michetti"),
)


def photographs(split: Split) -> tuple[Photograph, ...]:
    """The photographs of one side of the split."""
    return tuple(each for each in PHOTOGRAPHS if each.split == split)


def photograph(name: str) -> Photograph:
    """The photograph of that name.

    Raises:
        GraftworkError: there is none; the error names the nearest.
    """
    for each in PHOTOGRAPHS:
        if each.name == name:
            return each
    names = [each.name for each in PHOTOGRAPHS]
    raise GraftworkError(f"photograph {name!r}: unknown{did_you_mean(name, names)}")


def load_photograph(name: str) -> Float[Tensor, "3 height width"]:
    """The photograph in sRGB, [0, 1].

    Raises:
        GraftworkError: the name is unknown, or the wheel that holds it is not installed.
    """
    return load_srgb(_path(photograph(name)))


def load_srgb(path: Path) -> Float[Tensor, "3 height width"]:
    """An ordinary picture in sRGB, [0, 1].

    Raises:
        GraftworkError: the file is missing, damaged or no picture.
    """
    pixels = torch.from_numpy(np.array(load_image(path)))
    return pixels.permute(2, 0, 1).float() / 255


def _path(photo: Photograph) -> Path:
    found = find_spec(photo.package)
    if found is None or found.origin is None:
        raise GraftworkError(
            f"photograph {photo.name!r}: lies in the wheel of {photo.package}, which is not "
            "installed; run: pip install 'graftwork-data[raw]'"
        )
    return Path(found.origin).parent / photo.file
