"""Pictures as tensors, and how large they may be."""

from typing import Any

import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor

from graftwork.core.errors import GraftworkError


def to_pixels(image: Image.Image, side: int) -> Float[Tensor, "3 side side"]:
    """The central square of a picture, resized (Lanczos) to `side` pixels, in -1..1."""
    square = ImageOps.fit(image.convert("RGB"), (side, side), method=Image.Resampling.LANCZOS)
    values = torch.frombuffer(bytearray(square.tobytes()), dtype=torch.uint8)
    return values.view(side, side, 3).permute(2, 0, 1).float() / 127.5 - 1


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
