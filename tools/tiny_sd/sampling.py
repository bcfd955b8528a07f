"""Pictures out of the shipped folder, with the settings that the model card recommends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from tiny_sd import crops

STEPS = 20
GUIDANCE = 2.0
SAMPLES_PER_CAPTION = 8


@dataclass(frozen=True)
class Pictures:
    """Pictures of one subject, real or made, by kind of caption; each [n, 3, 64, 64] in 0..1."""

    wide: torch.Tensor
    close: torch.Tensor
    tinted: torch.Tensor


def load_pipeline(folder: Path) -> StableDiffusionPipeline:
    """The shipped folder with its weights cast to float32 for the CPU."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sample(pipeline: StableDiffusionPipeline, captions: list[str], seed: int) -> torch.Tensor:
    """One picture per caption -> [n, 3, 64, 64] in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    images: torch.Tensor = pipeline(
        captions,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        height=crops.IMAGE_SIZE,
        width=crops.IMAGE_SIZE,
        generator=generator,
        output_type="pt",
    ).images
    return images.float()


def sample_subject(pipeline: StableDiffusionPipeline, subject: str, seed: int) -> Pictures:
    """Eight pictures of each kind; the tinted ones go through all colours in turn."""
    tints = [list(crops.TINTS)[index % len(crops.TINTS)] for index in range(SAMPLES_PER_CAPTION)]
    return Pictures(
        wide=sample(pipeline, [crops.caption(subject)] * SAMPLES_PER_CAPTION, seed),
        close=sample(pipeline, [crops.caption(subject, True)] * SAMPLES_PER_CAPTION, seed + 1),
        tinted=sample(pipeline, [crops.caption(subject, tint=tint) for tint in tints], seed + 2),
    )
