"""Pictures as tensors, and how large they may be."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor

from graftwork.core.errors import GraftworkError


def to_pixels(image: Image.Image, side: int) -> Float[Tensor, "3 side side"]:
    """The central square of a picture, resized (Lanczos) to `side` pixels, in -1..1."""
    square = ImageOps.fit(image.convert("RGB"), (side, side), method=Image.Resampling.LANCZOS)
    values = torch.frombuffer(bytearray(square.tobytes()), dtype=torch.uint8)
    return values.view(side, side, 3).permute(2, 0, 1).float() / 127.5 - 1


def to_weights(mask: Image.Image, side: int, cells: int) -> Float[Tensor, "1 cells cells"]:
    """How much each of cells x cells places of the central square of a mask counts.

    A pixel v counts v / 127 up to 127, and 1 + 4 (v - 127) / 128 above: black 0, white 5 (the
    authors' code of DreamArtist, arXiv:2211.11337). A place counts as its pixels do on average,
    which is our reading: a latent stands for a square of pixels.
    """
    square = ImageOps.fit(mask.convert("L"), (side, side), method=Image.Resampling.BOX)
    values = torch.frombuffer(bytearray(square.tobytes()), dtype=torch.uint8).float()
    weights = torch.where(values <= 127, values / 127, 1 + (values - 127) / 32)
    return F.adaptive_avg_pool2d(weights.view(1, side, side), cells)


def side(resolution: int | None, pipeline: Any) -> int:
    """The pictures' side in pixels: `resolution`, or what the UNet was trained at.

    Raises:
        GraftworkError: the UNet cannot halve it as often as it does.
    """
    factor = pipeline.vae_scale_factor
    # The UNet halves its input once less than it has blocks.
    step = factor * 2 ** (len(pipeline.unet.config.block_out_channels) - 1)
    pixels = resolution or pipeline.unet.config.sample_size * factor
    if pixels % step:
        near = max(step, round(pixels / step) * step)
        raise GraftworkError(
            f"backbone.resolution: {pixels} is not a multiple of {step}; use {near}"
        )
    return int(pixels)
