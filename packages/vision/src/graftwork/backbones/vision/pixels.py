"""From pictures to what a model of timm is shown, as its own data configuration says."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from timm.data import create_transform
from timm.data.model_config import resolve_input_data_config
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError

Picture = UInt8[Tensor, "3 height width"]
Shown = UInt8[Tensor, "3 rows columns"]
"""A picture of the size that the model is shown."""

WEAK = "weak"
"""The augmentation of random crops and flips alone."""


class Pixels:
    """Resizes and crops pictures, and brings batches of them to the model's range.

    The two are apart so that bytes, not floats, are kept; together they are timm's transform.
    """

    def __init__(self, model: nn.Module, *, size: int | None, augment: str | None) -> None:
        self.config = config = _resolved(model, size)
        """timm's data configuration: input_size, interpolation, mean, std, crop_pct, crop_mode."""
        self._plain = create_transform(**config, is_training=False, normalize=False)
        self._augmented = None if augment is None else _augmentation(config, augment)

    @property
    def size(self) -> tuple[int, int, int]:
        """Channels, height and width of what the model is shown."""
        channels, height, width = self.config["input_size"]
        return channels, height, width

    def plain(self, picture: Picture) -> Shown:
        """A picture as it is tested with."""
        return self._plain(_pil(picture))

    def augmented(self, picture: Picture, generator: torch.Generator) -> Shown:
        """A picture as it is trained with; all that is drawn follows from `generator`."""
        assert self._augmented is not None
        with _drawing(generator):
            return self._augmented(_pil(picture))

    def normalised(
        self, pictures: UInt8[Tensor, "batch 3 height width"], like: Tensor
    ) -> Float[Tensor, "batch 3 height width"]:
        """Pictures in the model's range, on the device and in the dtype of `like`."""
        wide = pictures.to(like.device).float() / 255
        mean, std = (
            torch.tensor(self.config[name], device=like.device).view(-1, 1, 1)
            for name in ("mean", "std")
        )
        return ((wide - mean) / std).to(like.dtype)


def _resolved(model: nn.Module, size: int | None) -> Mapping[str, Any]:
    try:
        return resolve_input_data_config(model, args={} if size is None else {"img_size": size})
    except ValueError as error:
        raise GraftworkError(
            f"backbone.image_size: {size}: {error} Leave it out, or give `img_size` in "
            "backbone.arguments"
        ) from error


def _augmentation(config: Mapping[str, Any], augment: str) -> Callable[[Image.Image], Tensor]:
    shown = {name: config[name] for name in ("input_size", "interpolation", "mean", "std")}
    drawn: dict[str, str | None] = {"auto_augment": augment}
    if augment == WEAK:
        drawn = {"auto_augment": None, "color_jitter": None}
    try:
        return create_transform(**shown, **drawn, is_training=True, normalize=False)
    except (AssertionError, KeyError, ValueError, IndexError) as error:
        raise GraftworkError(
            f"backbone.augment: {augment!r} is none; write 'weak', or what timm reads, such as "
            "'rand-m5-n3'"
        ) from error


@contextmanager
def _drawing(generator: torch.Generator) -> Iterator[None]:
    """Let the three sources that transforms draw from follow a generator, and put them back."""
    seed = int(torch.randint(2**31, (), generator=generator))
    ours, numpys = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(ours)
            np.random.set_state(numpys)


def _pil(picture: Picture) -> Image.Image:
    return Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
