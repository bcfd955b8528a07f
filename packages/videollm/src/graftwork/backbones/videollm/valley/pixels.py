"""Frames as the tower wants them: a centred square of a size, normalised.

Default is what CLIP's own processor does, for clips and images alike. "legacy" is what the release
does to video files: nearest neighbour to 256 pixels for a square of 224.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from graftwork.core.errors import GraftworkError


def to_pixel_values(
    frames: UInt8[Tensor, "time 3 height width"],
    *,
    size: int = 224,
    legacy: bool = False,
    mean: tuple[float, ...] | list[float] = tuple(OPENAI_CLIP_MEAN),
    std: tuple[float, ...] | list[float] = tuple(OPENAI_CLIP_STD),
) -> Float[Tensor, "time 3 {size} {size}"]:
    """One clip of `pixel_values_videos` from RGB frames of 0..255, on the CPU.

    Raises:
        GraftworkError: there is no frame, or a frame has no pixel.
    """
    if not frames.numel():
        raise GraftworkError("frames: none, or without a pixel; give at least one RGB frame")
    resized = _nearest(frames, round(size * 256 / 224)) if legacy else _bicubic(frames, size)
    values = _centre(resized, size, legacy=legacy).float() / 255
    return (values - _channels(mean)) / _channels(std)


def _bicubic(
    frames: UInt8[Tensor, "time 3 height width"], short: int
) -> UInt8[Tensor, "time 3 high wide"]:
    size = _resized(frames, short)
    return F.interpolate(frames, size, mode="bicubic", antialias=True)


def _nearest(
    frames: UInt8[Tensor, "time 3 height width"], short: int
) -> UInt8[Tensor, "time 3 high wide"]:
    return F.interpolate(frames, _resized(frames, short), mode="nearest")


def _resized(frames: Tensor, short: int) -> tuple[int, int]:
    """Height and width with the shorter one as given and the longer one rounded down."""
    height, width = frames.shape[-2:]
    if width <= height:
        return int(short * height / width), short
    return short, int(short * width / height)


def _centre(
    frames: UInt8[Tensor, "time 3 height width"], size: int, *, legacy: bool
) -> UInt8[Tensor, "time 3 {size} {size}"]:
    """The square in the middle; half a pixel too much goes to the end, or is rounded to even."""
    spare = [side - size for side in frames.shape[-2:]]
    top, left = (round(each / 2) if legacy else each // 2 for each in spare)
    return frames[..., top : top + size, left : left + size]


def _channels(values: tuple[float, ...] | list[float]) -> Float[Tensor, "3 1 1"]:
    return torch.tensor(values)[:, None, None]
