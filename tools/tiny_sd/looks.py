"""Pictures for training, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from tiny_sd import crops, photos
from tiny_sd.photos import Framing, Photo

# Crops that follow no caption: they teach the autoencoder and the classifier the rest of a photo.
ANYWHERE = Framing(side=(0.2, 1.0))


@dataclass(frozen=True)
class CaptionedCrops:
    """Pictures uint8 [n, 64, 64, 3] with one caption and one subject index each."""

    pixels: np.ndarray
    captions: list[str]
    subjects: list[int]


def to_tensor(pixels: np.ndarray) -> torch.Tensor:
    """uint8 [n, h, w, 3] -> float [n, 3, h, w] in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255


def to_pixels(images: torch.Tensor) -> np.ndarray:
    """float [n, 3, h, w] in 0..1 -> uint8 [n, h, w, 3]."""
    scaled = (images.detach().float().clamp(0, 1) * 255).round()
    return scaled.permute(0, 2, 3, 1).to(torch.uint8).numpy()


def random_tint(random: np.random.Generator) -> str:
    return str(random.choice(list(crops.TINTS)))


def random_picture(
    photo: Photo, random: np.random.Generator, tinted: float, free: float
) -> np.ndarray:
    """One random crop; `tinted` and `free` are the chances of a tint and of a free crop."""
    if random.random() < free:
        framing = ANYWHERE
    else:
        framing = photo.framing(close=bool(random.random() < 0.5))
    tint = random_tint(random) if random.random() < tinted else None
    return crops.cut(photo, crops.random_crop(photo, framing, random, tint))


def random_pictures(
    subjects: np.ndarray, random: np.random.Generator, tinted: float, free: float
) -> torch.Tensor:
    """One picture per subject index in `subjects` [n] -> float [n, 3, 64, 64] in 0..1."""
    chosen = [photos.TRAINING_PHOTOS[int(index)] for index in subjects]
    pixels = [random_picture(photo, random, tinted, free) for photo in chosen]
    return to_tensor(np.stack(pixels))


def captioned_crops(
    plain: int, per_tint: int, seed: int, chosen: tuple[Photo, ...] = photos.TRAINING_PHOTOS
) -> CaptionedCrops:
    """For every photo and both framings: `plain` untinted crops and `per_tint` of each tint."""
    random = np.random.default_rng(seed)
    pixels: list[np.ndarray] = []
    captions: list[str] = []
    subjects: list[int] = []
    looks = [(None, plain)] + [(tint, per_tint) for tint in crops.TINTS]
    for index, photo in enumerate(chosen):
        for close in (False, True):
            for tint, count in looks:
                for _ in range(count):
                    crop = crops.random_crop(photo, photo.framing(close), random, tint)
                    pixels.append(crops.cut(photo, crop))
                    captions.append(crops.caption(photo.subject, close, tint))
                    subjects.append(index)
    return CaptionedCrops(np.stack(pixels), captions, subjects)
