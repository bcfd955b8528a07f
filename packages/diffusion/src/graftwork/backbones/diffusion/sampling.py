"""Sampling with classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598)."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float
from torch import Tensor

from graftwork.backbones.diffusion import latents, text
from graftwork.backbones.diffusion.parts import Parts, evaluating


@torch.no_grad()
def sample(
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    parts: Parts,
    vae: Any,
    tokenizer: Any,
    scheduler: DDIMScheduler,
    latent_side: int,
    steps: int,
    guidance: float,
    batch: int,
) -> Float[Tensor, "n 3 height width"]:
    """Pictures in 0..1, `batch` at a time; every distinct prompt is encoded once."""
    texts = list(dict.fromkeys(["", *prompts]))
    rows = torch.tensor([texts.index(prompt) for prompt in prompts], device=parts.device)
    shape = (vae.config.latent_channels, latent_side, latent_side)
    with evaluating(parts):
        embeddings = text.embed(parts.text_encoder, text.tokenize(tokenizer, texts))
        embeddings = embeddings.to(parts.dtype)
        pictures = []
        for start in range(0, len(prompts), batch):
            here = slice(start, start + batch)
            latent = denoise(
                parts.unet,
                scheduler,
                start_noise(shape, seeds[here]).to(parts.device),
                prompt=embeddings[rows[here]],
                empty=embeddings[:1],
                steps=steps,
                guidance=guidance,
            )
            pictures.append(latents.decode(vae, latent))
    return torch.cat(pictures)


def start_noise(shape: Sequence[int], seeds: Sequence[int]) -> Float[Tensor, "n c h w"]:
    """Standard normal latents, each from a generator of its own: its seed alone decides it."""
    return torch.cat(
        [torch.randn((1, *shape), generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )


def denoise(
    unet: Any,
    scheduler: DDIMScheduler,
    noise: Float[Tensor, "n c h w"],
    *,
    prompt: Float[Tensor, "n tokens dims"],
    empty: Float[Tensor, "1 tokens dims"],
    steps: int,
    guidance: float,
) -> Float[Tensor, "n c h w"]:
    """Latents from noise by deterministic DDIM.

    eps = eps_empty + guidance (eps_prompt - eps_empty); up to 1 the empty prompt is not run.
    """
    guided = guidance > 1
    condition = torch.cat([empty.expand_as(prompt), prompt]) if guided else prompt
    scheduler.set_timesteps(steps, device=noise.device)
    latent = noise * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        entry = torch.cat([latent, latent]) if guided else latent
        entry = scheduler.scale_model_input(entry, timestep).to(prompt.dtype)
        prediction = unet(entry, timestep, encoder_hidden_states=condition).sample.float()
        if guided:
            without, with_prompt = prediction.chunk(2)
            prediction = without + guidance * (with_prompt - without)
        latent = scheduler.step(prediction, timestep, latent).prev_sample
    return latent
