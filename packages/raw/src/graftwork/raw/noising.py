"""Adding noise to the truth.

    noisy = clip(Poisson((y − black) / a) · a + N(0, b) + black, 0, white)

in DN, as both RViDeNet (Yue et al. 2020) and FloRNN synthesise it for CRVD; optionally an offset
N(0, row²) that each row shares. The result is not rounded; `levels.quantise` does that.
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from graftwork.raw.levels import black_map
from graftwork.raw.noise_model import Noise
from graftwork.raw.sensor import Sensor


def add_noise(
    clean: Float[Tensor, "*lead height width"],
    noise: Noise,
    sensor: Sensor,
    *,
    generator: Generator,
    clip: bool = True,
) -> Float[Tensor, "*lead height width"]:
    """One noisy realisation of clean mosaics in DN.

    Args:
        clean: Mosaics in DN; what lies below black counts as black.
        noise: What to add.
        sensor: Black and white levels.
        generator: The same state gives the same noise. It must live on the mosaics' device.
        clip: Whether the sensor's range, 0 to white, bounds the result. Without, both tails stay,
            and the mean of many realisations is the truth everywhere.
    """
    black = black_map(sensor, *clean.shape[-2:]).to(clean)
    electrons = ((clean - black) / noise.a).clamp(min=0)
    noisy = torch.poisson(electrons, generator=generator) * noise.a + black
    noisy = noisy + noise.b**0.5 * _normal(clean, clean.shape, generator)
    if noise.row:
        noisy = noisy + noise.row * _normal(clean, (*clean.shape[:-1], 1), generator)
    return noisy.clamp(0, sensor.white_level) if clip else noisy


def variance(
    clean: Float[Tensor, "*lead height width"], noise: Noise, sensor: Sensor
) -> Float[Tensor, "*lead height width"]:
    """The variance in DN² that `add_noise` gives each pixel, clipping left out.

    Of a noisy mosaic it is the usual estimate, for networks that take a noise map.
    """
    black = black_map(sensor, *clean.shape[-2:]).to(clean)
    return noise.a * (clean - black).clamp(min=0) + noise.b + noise.row**2


def _normal(like: Tensor, shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
