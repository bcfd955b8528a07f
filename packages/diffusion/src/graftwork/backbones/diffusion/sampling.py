"""Sampling with classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598)."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float
from torch import Tensor

from graftwork.backbones.diffusion import latents, text
from graftwork.backbones.diffusion.parts import Parts, evaluating
from graftwork.nn.branches import acting_on, branched
from graftwork.nn.words import LearnedWords


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
    """Pictures in 0..1, `batch` at a time; every distinct prompt is encoded once.

    The negative prompt is empty, save for a prompt with a learned word that has an opposite.
    """
    words = LearnedWords.of(parts)
    text.warn_of_cuts(tokenizer, list(dict.fromkeys(prompts)), words)
    negatives = [words.negative(prompt) for prompt in prompts]
    shape = (vae.config.latent_channels, latent_side, latent_side)
    with evaluating(parts):
        with acting_on(parts, "positive"):
            prompt = text.embed_texts(parts.text_encoder, tokenizer, prompts, words)
        with acting_on(parts, "negative"):
            negative = text.embed_texts(parts.text_encoder, tokenizer, negatives, words)
        pictures = []
        for start in range(0, len(prompts), batch):
            here = slice(start, start + batch)
            latent = denoise(
                parts,
                scheduler,
                start_noise(shape, seeds[here]).to(parts.device),
                prompt=prompt[here].to(parts.dtype),
                negative=negative[here].to(parts.dtype),
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
    parts: Parts,
    scheduler: DDIMScheduler,
    noise: Float[Tensor, "n c h w"],
    *,
    prompt: Float[Tensor, "n tokens dims"],
    negative: Float[Tensor, "n tokens dims"],
    steps: int,
    guidance: float,
) -> Float[Tensor, "n c h w"]:
    """Latents from noise by deterministic DDIM.

    eps = eps_neg + guidance (eps_prompt - eps_neg); up to 1 the negative prompt is not run.
    """
    scheduler.set_timesteps(steps, device=noise.device)
    latent = noise * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        entry = scheduler.scale_model_input(latent, timestep).to(prompt.dtype)
        if guidance > 1:
            without, prediction = _both(parts, entry, timestep, prompt=prompt, negative=negative)
            prediction = without + guidance * (prediction - without)
        else:
            with acting_on(parts, "positive"):
                prediction = _predict(parts, entry, timestep, prompt)
        latent = scheduler.step(prediction, timestep, latent).prev_sample
    return latent


def _both(
    parts: Parts, entry: Tensor, timestep: Tensor, *, prompt: Tensor, negative: Tensor
) -> tuple[Tensor, Tensor]:
    """The predictions under the negative prompt and the prompt.

    In one pass, or in two where a graft acts on one of them alone.
    """
    if not branched(parts):
        whole = _predict(parts, torch.cat([entry] * 2), timestep, torch.cat([negative, prompt]))
        without, under_prompt = whole.chunk(2)
        return without, under_prompt
    with acting_on(parts, "negative"):
        without = _predict(parts, entry, timestep, negative)
    with acting_on(parts, "positive"):
        return without, _predict(parts, entry, timestep, prompt)


def _predict(parts: Parts, entry: Tensor, timestep: Tensor, condition: Tensor) -> Tensor:
    output: Tensor = parts.unet(entry, timestep, encoder_hidden_states=condition).sample
    return output.float()
