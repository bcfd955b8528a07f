"""Between pictures and latents.

The VAE's encoder gives a normal distribution for each picture (Rombach et al. 2022,
arXiv:2112.10752, section 3.1). Its mean and deviation are kept, so a training step can draw a
fresh latent z = (mean + deviation * eps - shift) * scale without the encoder.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_BATCH = 4
Moments = tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]]


@torch.no_grad()
def encode(vae: Any, pictures: Iterable[Float[Tensor, "3 height width"]]) -> Moments:
    """Mean and deviation of the latents of pictures in -1..1, in float32 on the CPU."""
    means, deviations = [], []
    remaining = iter(pictures)
    while batch := list(islice(remaining, _BATCH)):
        posterior = vae.encode(torch.stack(batch).to(vae.device, vae.dtype)).latent_dist
        means.append(posterior.mean.float().cpu())
        deviations.append(posterior.std.float().cpu())
    return torch.cat(means), torch.cat(deviations)


def scale(vae: Any, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Latents as the VAE makes them -> latents as the UNet knows them, of about unit variance."""
    return (latents - _shift(vae)) * vae.config.scaling_factor


def decode(vae: Any, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 height width"]:
    """Pictures in 0..1 from latents as the UNet knows them, in float32."""
    return (raw(vae, latents) / 2 + 0.5).clamp(0, 1)


def raw(vae: Any, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 height width"]:
    """What the decoder gives for latents as the UNet knows them: about -1..1, in float32."""
    unscaled = latents / vae.config.scaling_factor + _shift(vae)
    pictures: Tensor = vae.decode(unscaled.to(vae.dtype)).sample
    return pictures.float()


def _shift(vae: Any) -> float:
    return getattr(vae.config, "shift_factor", None) or 0.0
