"""Stage `unet`: the UNet and the text encoder, trained together on cached latents."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, UNet2DConditionModel
from diffusers.training_utils import EMAModel
from torch import nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tiny_sd import looks, tokens
from tiny_sd.work import Progress, Stateful, Work, warm_then_cosine

STAGE = "unet"
BATCH = 8
LEARNING_RATE = 1e-3
# Chance of an empty caption, which classifier-free guidance needs.
CAPTION_DROPOUT = 0.1
EMA_DECAY = 0.999
TEXT_WIDTH = 128
# Small initial embeddings would leave never-trained words with nothing to say beside trained ones.
EMBEDDING_DEVIATION = 0.25
PLAIN_CROPS, CROPS_PER_TINT = 160, 12
SAVE_EVERY = 500


@dataclass
class Denoiser:
    """The two modules that are trained together, and the tokenizer in front of them."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer

    def parameters(self) -> list[nn.Parameter]:
        return list(chain(self.unet.parameters(), self.text_encoder.parameters()))

    def eval(self) -> Denoiser:
        self.unet.eval()
        self.text_encoder.eval()
        return self


@dataclass(frozen=True)
class Cache:
    """Latents [n, 4, 16, 16] with the row of their caption, and all captions as token ids.

    Row 0 of `token_ids` [captions + 1, 77] is the empty caption.
    """

    latents: torch.Tensor
    rows: torch.Tensor
    token_ids: torch.Tensor


def scheduler() -> DDIMScheduler:
    """The noise schedule of Stable Diffusion 1.x, velocity prediction, DDIM as the sampler.

    Velocity, as in Stable Diffusion 2.x, because of the short training.  More than half of the
    variance of these latents lies in the mean of a channel.  A model that predicts noise has to
    copy its input to a thousandth before the caption's say in that mean shows in the loss: after
    2000 steps colours still came from the seed, where velocity follows the caption after 500.
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
    )


def build() -> Denoiser:
    tokenizer = tokens.build()
    return Denoiser(_build_unet(), _build_text_encoder(tokenizer), tokenizer)


def _build_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(64, 96, 128),
        layers_per_block=1,
        # As in Stable Diffusion 1.x this argument is the number of heads, not their width.
        attention_head_dim=4,
        cross_attention_dim=TEXT_WIDTH,
        norm_num_groups=16,
    )


def _build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokens.MAX_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    encoder = CLIPTextModel(config)
    nn.init.normal_(encoder.get_input_embeddings().weight, std=EMBEDDING_DEVIATION)
    return encoder


def train(work: Work, vae: AutoencoderKL, steps: int, seed: int) -> Denoiser:
    """Train (or resume, or just load) UNet and text encoder; averaged weights are returned."""
    torch.manual_seed(seed)
    model = build()
    ema = EMAModel(model.parameters(), decay=EMA_DECAY)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True)
    parts: dict[str, Stateful] = {
        "unet": model.unet,
        "text_encoder": model.text_encoder,
        "ema": ema,
        "optimizer": optimizer,
    }
    first, seconds = work.resume(STAGE, parts)
    if not work.is_done(STAGE):
        cache = build_cache(vae, model.tokenizer, seed)
        noising = DDPMScheduler.from_config(scheduler().config)
        progress = Progress(STAGE, steps, every=250, seconds=seconds)
        for step in range(first, steps):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * warm_then_cosine(step, steps, warm=200)
            random = torch.Generator().manual_seed(seed * 1_000_003 + step)
            loss = _training_step(model, optimizer, noising, cache, random)
            ema.step(model.parameters())
            progress.note(step, loss=loss)
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
                work.save(STAGE, parts, step + 1, progress.seconds)
        work.mark_done(STAGE, {"steps": steps, "minutes": progress.seconds / 60})
    ema.copy_to(model.parameters())
    return model.eval()


@torch.no_grad()
def build_cache(vae: AutoencoderKL, tokenizer: CLIPTokenizer, seed: int) -> Cache:
    """Encode all crops once: a step of the UNet then never touches a photograph."""
    crops = looks.captioned_crops(PLAIN_CROPS, CROPS_PER_TINT, seed)
    images = looks.to_tensor(crops.pixels) * 2 - 1
    latents = torch.cat([vae.encode(batch).latent_dist.mean for batch in torch.split(images, 64)])
    distinct = ["", *dict.fromkeys(crops.captions)]
    row_of = {text: row for row, text in enumerate(distinct)}
    return Cache(
        latents=latents * vae.config.scaling_factor,
        rows=torch.tensor([row_of[text] for text in crops.captions]),
        token_ids=tokenize(tokenizer, distinct),
    )


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Captions -> token ids [n, 77], padded as the pipeline pads them."""
    ids: torch.Tensor = tokenizer(
        captions,
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    return ids


def _training_step(
    model: Denoiser,
    optimizer: torch.optim.Optimizer,
    noising: DDPMScheduler,
    cache: Cache,
    random: torch.Generator,
) -> float:
    picked = torch.randint(len(cache.latents), (BATCH,), generator=random)
    latents, rows = cache.latents[picked], cache.rows[picked]
    dropped = torch.rand(BATCH, generator=random) < CAPTION_DROPOUT
    rows = rows.masked_fill(dropped, 0)
    noise = torch.randn(latents.shape, generator=random)
    times = torch.randint(noising.config.num_train_timesteps, (BATCH,), generator=random)
    noisy = noising.add_noise(latents, noise, times)
    text = model.text_encoder(cache.token_ids[rows]).last_hidden_state
    predicted = model.unet(noisy, times, text).sample
    loss = functional.mse_loss(predicted, noising.get_velocity(latents, noise, times))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()
