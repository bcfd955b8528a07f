"""Masks: grey images beside a data set's images, which say how much each place counts."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from graftwork.core.errors import GraftworkError
from graftwork.data.folder import list_folder
from graftwork.data.images import load_image


def find_masks(folder: Path, images: Sequence[Path]) -> dict[Path, Path]:
    """The mask of every image: the image of the same name, whatever its suffix, in `folder`.

    Raises:
        GraftworkError: an image has none, or there is one of no image.
    """
    masks = {path.stem: path for path in list_folder(folder, key="masks").images}
    stems = {image.stem for image in images}
    for image in images:
        if image.stem not in masks:
            raise GraftworkError(f"{folder}: no mask for {image.name}; add {image.stem}.png")
    for stem, path in masks.items():
        if stem not in stems:
            raise GraftworkError(f"{path}: is the mask of no image; rename or remove it")
    return {image: masks[image.stem] for image in images}


def load_mask(path: Path, *, of: Path) -> Image.Image:
    """A mask in grey.

    Raises:
        GraftworkError: it cannot be read, or its size is not that of its image.
    """
    mask, image = load_image(path), load_image(of)
    if mask.size != image.size:
        sizes = [f"{one.width} x {one.height}" for one in (mask, image)]
        raise GraftworkError(f"{path}: is {sizes[0]} and {of.name} is {sizes[1]}; make them equal")
    return mask.convert("L")
