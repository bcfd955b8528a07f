"""What may happen to a picture after a model was trained: six corruptions at five severities.

After Hendrycks and Dietterich 2019, arXiv:1903.12261, whose images these are not: sizes go with
the shorter side of the picture, so that a severity means the same at every resolution.
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

Corruption = Literal["blur", "noise", "contrast", "rotation", "tint", "crops"]

Picture = Float[Tensor, "3 height width"]


def corrupt(
    image: UInt8[Tensor, "3 height width"],
    corruption: Corruption,
    severity: int,
    *,
    generator: torch.Generator,
) -> UInt8[Tensor, "3 new_height new_width"]:
    """A picture after one corruption; of its size, save for "crops".

    Args:
        image: the picture.
        corruption: which.
        severity: 1 to 5.
        generator: of what is drawn: noise, sides, colours and places.
    """
    strength = STRENGTHS[corruption][severity - 1]
    made = _DONE[corruption](image.float() / 255, strength, generator)
    return (made.clamp(0, 1) * 255).round().to(torch.uint8)


def blur(image: Picture, strength: float, generator: torch.Generator) -> Picture:
    """A Gaussian; its deviation is a share of the shorter side."""
    deviation = strength * min(image.shape[-2:])
    radius = max(1, math.ceil(3 * deviation))
    offsets = torch.arange(-radius, radius + 1)
    kernel = torch.softmax(-offsets.square() / (2 * deviation**2), dim=0)
    rows, columns = (_mirrored(size, radius) for size in image.shape[-2:])
    wide = image[:, rows][:, :, columns][:, None]
    down = F.conv2d(wide, kernel[None, None, :, None])
    return F.conv2d(down, kernel[None, None, None, :])[:, 0]


def noise(image: Picture, strength: float, generator: torch.Generator) -> Picture:
    """Gaussian noise of that deviation, each value its own."""
    return image + strength * torch.randn(image.shape, generator=generator)


def contrast(image: Picture, strength: float, generator: torch.Generator) -> Picture:
    """Differences from the mean of each colour, times the strength."""
    mean = image.mean(dim=(1, 2), keepdim=True)
    return mean + strength * (image - mean)


def rotation(image: Picture, strength: float, generator: torch.Generator) -> Picture:
    """That many degrees to one side or the other; corners are mirrored."""
    side = 1 if torch.rand((), generator=generator) < 0.5 else -1
    angle = math.radians(side * strength)
    height, width = image.shape[-2:]
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[[cos, -sin * height / width, 0], [sin * width / height, cos, 0]]])
    grid = F.affine_grid(turn, [1, 3, height, width], align_corners=False)
    turned = F.grid_sample(image[None], grid, padding_mode="reflection", align_corners=False)
    return turned[0]


def tint(image: Picture, strength: float, generator: torch.Generator) -> Picture:
    """One colour made stronger and another weaker by that share, as under another light."""
    more, less, _ = torch.randperm(3, generator=generator).tolist()
    gains = torch.ones(3, 1, 1)
    gains[more] += strength
    gains[less] -= strength
    return image * gains


def crops(
    image: Picture, strength: float, generator: torch.Generator
) -> Float[Tensor, "3 rows columns"]:
    """A part with that share of each side, somewhere."""
    height, width = (max(1, round(strength * size)) for size in image.shape[-2:])
    top, left = (
        int(torch.randint(size - part + 1, (), generator=generator))
        for size, part in zip(image.shape[-2:], (height, width), strict=True)
    )
    return image[:, top : top + height, left : left + width]


def _mirrored(size: int, margin: int) -> Tensor:
    """Places from -margin to size + margin, mirrored about the borders as often as it takes."""
    places = torch.arange(-margin, size + margin) % (2 * size)
    return torch.where(places < size, places, 2 * size - 1 - places)


STRENGTHS: Mapping[Corruption, tuple[float, float, float, float, float]] = {
    "blur": (0.01, 0.02, 0.035, 0.05, 0.08),
    "noise": (0.04, 0.08, 0.12, 0.18, 0.26),
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    "rotation": (5.0, 10.0, 15.0, 25.0, 40.0),
    "tint": (0.1, 0.2, 0.3, 0.45, 0.6),
    "crops": (0.9, 0.8, 0.7, 0.6, 0.5),
}
"""How strong each is at the severities 1 to 5."""

_DONE: Mapping[Corruption, Callable[[Picture, float, torch.Generator], Tensor]] = {
    "blur": blur,
    "noise": noise,
    "contrast": contrast,
    "rotation": rotation,
    "tint": tint,
    "crops": crops,
}
