"""Stable Diffusion (Rombach et al. 2022, arXiv:2112.10752) as a backbone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from diffusers import StableDiffusionPipeline
from jaxtyping import Float, Int
from torch import Tensor

from graftwork.backbones.diffusion import (
    conditions,
    latents,
    pixels,
    preparing,
    sampling,
    schedule,
)
from graftwork.backbones.diffusion.examples import Draw, Examples
from graftwork.backbones.diffusion.loading import load_pipeline, quiet
from graftwork.backbones.diffusion.parts import Parts
from graftwork.backbones.diffusion.settings import StableDiffusionConfig, TinySDConfig
from graftwork.core import atomic
from graftwork.core.errors import GraftworkError
from graftwork.nn import fingerprint, frozen, grafts
from graftwork.nn.branches import acting_on
from graftwork.nn.denoising import DenoisingStep
from graftwork.nn.moving import move
from graftwork.nn.text_to_image import CaptionedImages, TextToImage
from graftwork.nn.words import LearnedWords

SITES = ("unet.*.attn?.to_[qkv]", "unet.*.attn?.to_out.0")
"""Query, key, value and output projections of the UNet's attention: 128 in Stable Diffusion 1."""
TOKEN_SITES = ("text_encoder.*token_embedding",)
"""What learned words extend."""


class StableDiffusion(TextToImage):
    """A `StableDiffusionPipeline`, frozen: `module` holds `unet` and `text_encoder`.

    With a graft on the text encoder, captions are encoded in every step; otherwise their
    embeddings are computed once.

    Raises:
        GraftworkError: the pipeline cannot be loaded, or the resolution does not fit it.
    """

    branches: ClassVar[bool] = True
    module: Parts

    def __init__(self, settings: TinySDConfig) -> None:
        super().__init__(settings)
        self.pipeline = pipeline = self._load(settings)
        """The same modules as diffusers knows them."""
        self.module = Parts(
            unet=pipeline.unet,
            text_encoder=pipeline.text_encoder,
            tokenizer=pipeline.tokenizer,
        )
        self.vae = pipeline.vae.requires_grad_(False).eval()
        self.tokenizer = pipeline.tokenizer
        self.scheduler = schedule.ddim(pipeline.scheduler.config)
        self.alpha_bars = schedule.alpha_bars(self.scheduler)
        self.side = pixels.side(settings.resolution, pipeline)
        if settings.gradient_checkpointing:
            self.module.unet.enable_gradient_checkpointing()  # type: ignore[operator]

    def _load(self, settings: TinySDConfig) -> StableDiffusionPipeline:
        assert isinstance(settings, StableDiffusionConfig)
        return load_pipeline(
            settings.path,
            revision=settings.revision,
            variant=settings.variant,
            config=settings.config,
        )

    def default_sites(self) -> tuple[str, ...]:
        """The projections of every attention block of the UNet."""
        return SITES

    def token_sites(self) -> tuple[str, ...]:
        """The text encoder's token embedding."""
        return TOKEN_SITES

    def prepare(self, data: CaptionedImages) -> Examples:
        """Encode a data set once.

        Raises:
            GraftworkError: the data cannot be used, or a graft acts on one branch under gradient
                checkpointing.
        """
        conditions.refuse_checkpointing(self.module)
        return preparing.prepare(
            data,
            parts=self.module,
            vae=self.vae,
            tokenizer=self.tokenizer,
            side=self.side,
            cache=self.settings.cache,
        )

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move the frozen parts; adapters and, by default, the VAE keep their dtype."""
        move(self.module, device, dtype)
        move(self.vae, device, torch.float32 if self.settings.vae_float32 else dtype)

    def save(self, folder: Path) -> None:
        """Write the pipeline, as `StableDiffusionPipeline.from_pretrained` loads it.

        Raises:
            GraftworkError: an adapter is still on it, or the folder is taken.
        """
        if grafts(self.module):
            raise GraftworkError("save: adapters are on the backbone; merge or detach them first")
        with atomic.folder(folder) as target, quiet():
            self.pipeline.save_pretrained(target)

    def fingerprint(self) -> str:
        """Hash of the architecture and weights of UNet and text encoder, as they are now."""
        return fingerprint(self.module)

    def step(
        self,
        examples: Examples,
        indices: Sequence[int],
        *,
        needs: frozenset[str],
        generator: torch.Generator,
    ) -> DenoisingStep:
        """Noise `examples[indices]` and predict under the captions that `needs` asks for.

        Raises:
            GraftworkError: "free" is needed and the data has no trigger, "negative" and no graft
                has learned a negative word, or a graft acts on one branch under gradient
                checkpointing.
        """
        words = LearnedWords.of(self.module)
        conditions.require(needs, examples, words)
        draw = Draw.from_generator(
            examples,
            indices,
            timesteps=len(self.alpha_bars),
            caption_dropout=self.settings.caption_dropout,
            generator=generator,
        )
        index = torch.as_tensor(indices)
        step = self._noised(examples, index, draw)
        captions = conditions.captions(examples, index, draw, needs=needs, words=words)
        adapted: dict[str, Tensor] = {}
        for branch, own in conditions.by_branch(captions, self.module):
            with acting_on(self.module, branch):
                condition = conditions.embed(own, examples=examples, parts=self.module, words=words)
                adapted |= self._adapted(step.noisy, draw.timesteps, condition)
        free = examples.free[index] if examples.free is not None and "free" in needs else None
        return replace(
            step,
            prediction=adapted.get("prediction"),
            negative=adapted.get("negative"),
            adapted_free=adapted.get("free"),
            frozen_free=self._frozen(step.noisy, draw.timesteps, examples, free),
        )

    def sample(  # type: ignore[override]  # names the settings that it takes
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        steps: int = 20,
        guidance: float = 5.0,
        batch: int = 8,
    ) -> Float[Tensor, "samples 3 height width"]:
        """Images in 0..1 for pairs of prompts and seeds, drawn by DDIM, `batch` at a time.

        Raises:
            GraftworkError: there are more steps than the schedule has.
        """
        if len(prompts) != len(seeds):
            raise ValueError(f"{len(prompts)} prompts and {len(seeds)} seeds; give pairs")
        if not 0 < steps < len(self.alpha_bars):
            raise GraftworkError(
                f"sampling: {steps} steps are not possible; use 1 to {len(self.alpha_bars) - 1}"
            )
        if not prompts:
            return torch.empty(0, 3, self.side, self.side, device=self.module.device)
        return sampling.sample(
            prompts,
            seeds,
            parts=self.module,
            vae=self.vae,
            tokenizer=self.tokenizer,
            scheduler=self.scheduler,
            latent_side=self.side // self.pipeline.vae_scale_factor,
            steps=steps,
            guidance=guidance,
            batch=batch,
        )

    def _noised(self, examples: Examples, index: Int[Tensor, "b"], draw: Draw) -> DenoisingStep:
        latent = examples.mean[index] + examples.deviation[index] * draw.latent.cpu()
        device = self.module.device
        return DenoisingStep(
            prediction_type=self.scheduler.config.prediction_type,
            clean=latents.scale(self.vae, latent).to(device),
            noise=draw.noise.to(device),
            alpha_bar=self.alpha_bars[draw.timesteps.cpu()].to(device),
            weight=None if examples.weight is None else examples.weight[index].to(device),
            time=(draw.timesteps / max(1, len(self.alpha_bars) - 1)).to(device),
            decode=partial(latents.raw, self.vae),
        )

    def _adapted(
        self, noisy: Tensor, timesteps: Tensor, condition: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """One pass of the adapted UNet over all the captions that are asked for."""
        if not condition:
            return {}
        times, embeddings = len(condition), torch.cat(list(condition.values()))
        predicted = self._predict(noisy.repeat(times, 1, 1, 1), timesteps.repeat(times), embeddings)
        return dict(zip(condition, predicted.chunk(times), strict=True))

    @torch.no_grad()
    def _frozen(
        self, noisy: Tensor, timesteps: Tensor, examples: Examples, rows: Tensor | None
    ) -> Tensor | None:
        """The backbone as it was, on the captions without their trigger."""
        if rows is None:
            return None
        with frozen(self.module):
            return self._predict(noisy, timesteps, examples.embeddings[rows])

    def _predict(self, noisy: Tensor, timesteps: Tensor, condition: Tensor) -> Tensor:
        device, dtype = self.module.device, self.module.dtype
        output = self.module.unet(
            noisy.to(dtype),
            timesteps.to(device),
            encoder_hidden_states=condition.to(device, dtype),
        )
        return output.sample.float()
