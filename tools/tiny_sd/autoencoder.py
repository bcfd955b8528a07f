"""Stages `vae` and `decoder`: an AutoencoderKL from 64x64 RGB to 4x16x16 latents.

The first stage trains all of it.  The second leaves the latents as they are and goes on with
the decoder alone, so it may run before or after the UNet.
"""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from tiny_sd import crops, looks, photos
from tiny_sd.work import Progress, Work, warm_then_cosine

STAGE = "vae"
DECODER_STAGE = "decoder"
BATCH = 8
LEARNING_RATE = 1e-3
DECODER_LEARNING_RATE = 5e-4
SAVE_EVERY = 500
# Crops of this seed appear in no training stage.
FRESH_SEED = 987_654_321
# Keeps the latents smooth; much larger and fine texture is lost.
KL_WEIGHT = 2e-4
EDGE_WEIGHT = 0.5
# The factor of Stable Diffusion 1.x; `calibrate` scales the latents so that it is right here too.
SCALING_FACTOR = 0.18215


def build() -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 64, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=crops.IMAGE_SIZE,
        scaling_factor=SCALING_FACTOR,
    )


def load(work: Work, stage: str) -> AutoencoderKL:
    """What a finished stage left; built here, because a loaded one remembers its folder."""
    vae = build()
    vae.load_state_dict(load_file(work.folder / stage / "diffusion_pytorch_model.safetensors"))
    return vae.eval()


def train(work: Work, steps: int, seed: int) -> AutoencoderKL:
    """Train (or resume, or just load) the autoencoder and leave it in the work folder."""
    if work.is_done(STAGE):
        return load(work, STAGE)
    torch.manual_seed(seed)
    vae = build()
    seconds = _run(work, STAGE, vae, list(vae.parameters()), steps, seed, LEARNING_RATE)
    calibrate(vae, seed)
    _finish(work, STAGE, vae, steps, seconds)
    return vae


def train_decoder(work: Work, steps: int, seed: int) -> AutoencoderKL:
    """Go on with the decoder of the finished stage `vae` (or resume, or just load)."""
    if work.is_done(DECODER_STAGE):
        return load(work, DECODER_STAGE)
    vae = load(work, STAGE).requires_grad_(False)
    vae.decoder.requires_grad_(True)
    trained = list(vae.decoder.parameters())
    seconds = _run(work, DECODER_STAGE, vae, trained, steps, seed + 1, DECODER_LEARNING_RATE)
    _finish(work, DECODER_STAGE, vae, steps, seconds)
    return vae


def _run(
    work: Work,
    stage: str,
    vae: AutoencoderKL,
    trained: list[nn.Parameter],
    steps: int,
    seed: int,
    learning_rate: float,
) -> float:
    """Train the given parameters of `vae` in place; the seconds it took, earlier runs included."""
    vae.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=1e-4)
    parts = {"model": vae, "optimizer": optimizer}
    first, seconds = work.resume(stage, parts)
    progress = Progress(stage, steps, seconds=seconds)
    for step in range(first, steps):
        # One generator per step: a resumed run sees the same pictures as an unbroken one.
        images = _training_pictures(np.random.default_rng((seed, step)))
        torch.manual_seed(seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * warm_then_cosine(step, steps)
        progress.note(step, **_training_step(vae, optimizer, images))
        if (step + 1) % SAVE_EVERY == 0:
            work.save(stage, parts, step + 1, progress.seconds)
    vae.eval().requires_grad_(True).to(memory_format=torch.contiguous_format)
    return progress.seconds


def _finish(work: Work, stage: str, vae: AutoencoderKL, steps: int, seconds: float) -> None:
    vae.save_pretrained(work.folder / stage)
    psnr = reconstruction_psnr(vae)
    work.mark_done(stage, {"steps": steps, "minutes": seconds / 60, "psnr": psnr})


def _training_pictures(random: np.random.Generator) -> torch.Tensor:
    """[BATCH, 3, 64, 64] in -1..1; channels sometimes swap places so that any colour is covered."""
    subjects = random.integers(len(photos.TRAINING_PHOTOS), size=BATCH)
    images = looks.random_pictures(subjects, random, tinted=0.3, free=0.4)
    for index in range(BATCH):
        if random.random() < 0.15:
            images[index] = images[index, torch.from_numpy(random.permutation(3))]
    return (images * 2 - 1).contiguous(memory_format=torch.channels_last)


def _training_step(
    vae: AutoencoderKL, optimizer: torch.optim.Optimizer, images: torch.Tensor
) -> dict[str, float]:
    posterior = vae.encode(images).latent_dist
    restored = vae.decode(posterior.sample()).sample
    pixel = functional.l1_loss(restored, images)
    edge = _edge_loss(restored, images)
    kl = posterior.kl().mean() / posterior.mean[0].numel()
    loss = pixel + EDGE_WEIGHT * edge + KL_WEIGHT * kl
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    optimizer.step()
    return {"pixel": pixel.item(), "edge": edge.item(), "kl": kl.item()}


def _edge_loss(restored: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """L1 between differences of neighbouring pixels at two scales: L1 alone comes out soft."""
    total = restored.new_zeros(())
    for _ in range(2):
        for dim in (2, 3):
            total = total + functional.l1_loss(restored.diff(dim=dim), images.diff(dim=dim))
        restored, images = functional.avg_pool2d(restored, 2), functional.avg_pool2d(images, 2)
    return total / 4


@torch.no_grad()
def calibrate(vae: AutoencoderKL, seed: int) -> None:
    """Fold a shift and a gain per channel into the 1x1 convolutions around the latents.

    Afterwards `latents * scaling_factor` has mean 0 and deviation 1 in every channel, which is
    what the noise schedule assumes, and the pictures are unchanged.
    """
    random = np.random.default_rng((seed, 1))
    subjects = np.arange(512) % len(photos.TRAINING_PHOTOS)
    images = looks.random_pictures(subjects, random, tinted=0.4, free=0.0)
    means = torch.cat(
        [vae.encode(batch * 2 - 1).latent_dist.mean for batch in torch.split(images, 64)]
    )
    shift = means.mean(dim=(0, 2, 3))
    gain = 1 / (means.std(dim=(0, 2, 3)) * SCALING_FACTOR)
    before, after = vae.quant_conv, vae.post_quant_conv
    channels = len(shift)
    # The first half of quant_conv's output is the mean, the second the logarithmic variance.
    before.bias[:channels] = (before.bias[:channels] - shift) * gain
    before.weight[:channels] *= gain.view(-1, 1, 1, 1)
    before.bias[channels:] += 2 * gain.log()
    after.bias += after.weight.flatten(1) @ shift
    after.weight /= gain.view(1, -1, 1, 1)


@torch.no_grad()
def restore(vae: AutoencoderKL, images: torch.Tensor) -> torch.Tensor:
    """Encode and decode pictures [n, 3, 64, 64] in 0..1."""
    restored: torch.Tensor = vae.decode(vae.encode(images * 2 - 1).latent_dist.mean).sample
    return (restored / 2 + 0.5).clamp(0, 1)


@torch.no_grad()
def reconstruction_psnr(vae: AutoencoderKL) -> dict[str, float]:
    """PSNR in dB of encoding and decoding fresh crops, per photograph, held-out ones included."""
    result = {}
    for photo in photos.TRAINING_PHOTOS + photos.HELD_OUT_PHOTOS:
        pixels = looks.captioned_crops(8, 0, seed=FRESH_SEED, chosen=(photo,)).pixels
        images = looks.to_tensor(pixels)
        error = functional.mse_loss(restore(vae, images), images)
        result[photo.subject] = round(float(-10 * torch.log10(error)), 2)
    return result
