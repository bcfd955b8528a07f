"""Stage `classifier`: names the subject of a picture; its features serve as a metric."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from graftwork.backbones.diffusion.classifier import TinyClassifier
from tiny_sd import autoencoder, crops, looks, photos
from tiny_sd.work import Progress, Stateful, Work, warm_then_cosine

STAGE = "classifier"
NAMED = 32
# Unnamed pictures come in pairs of views of the same spot.
PAIRS = 24
# How many of the named pictures have been through the autoencoder, as every generated one has.
RESTORED = 16
LEARNING_RATE = 2e-3
CONTRAST_WEIGHT = 0.5
TEMPERATURE = 0.1


def train(work: Work, vae: AutoencoderKL, steps: int, seed: int) -> TinyClassifier:
    """Train (or resume, or just load) the classifier and leave it in the work folder."""
    model = TinyClassifier(list(photos.SUBJECTS))
    weights = work.folder / f"{STAGE}.safetensors"
    if work.is_done(STAGE):
        model.load_state_dict(load_file(weights))
        return model.eval()
    torch.manual_seed(seed)
    model = TinyClassifier(list(photos.SUBJECTS)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer}
    first, seconds = work.resume(STAGE, parts)
    progress = Progress(STAGE, steps, seconds=seconds)
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * warm_then_cosine(step, steps, warm=50)
        images, labels = _batch(vae, np.random.default_rng((seed, step)))
        progress.note(step, **_training_step(model, optimizer, images, labels))
        if (step + 1) % 200 == 0:
            work.save(STAGE, parts, step + 1, progress.seconds)
    model = model.to(memory_format=torch.contiguous_format).eval()
    save_file(model.state_dict(), weights)
    work.mark_done(STAGE, {"steps": steps, "minutes": progress.seconds / 60})
    return model


def _batch(vae: AutoencoderKL, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures [NAMED + 2 * PAIRS, 3, 64, 64] and a label each.

    Named pictures carry the index of their subject.  Every pair carries a number of its own:
    it teaches that two views of one spot are alike and everything else is not, which is what
    makes the features useful on photographs never seen in training.
    """
    subjects = random.integers(len(photos.SUBJECTS), size=NAMED)
    named = looks.random_pictures(subjects, random, tinted=0.35, free=0.0)
    named[:RESTORED] = autoencoder.restore(vae, named[:RESTORED])
    pairs = torch.cat([_two_views(random) for _ in range(PAIRS)])
    images = _disturb(torch.cat([named, pairs]), random)
    own = np.repeat(np.arange(PAIRS) + len(photos.SUBJECTS), 2)
    return images, torch.from_numpy(np.concatenate([subjects, own]))


def _two_views(random: np.random.Generator) -> torch.Tensor:
    """Two overlapping crops [2, 3, 64, 64] of one photo in colours of its own."""
    photo = photos.TRAINING_PHOTOS[int(random.integers(len(photos.TRAINING_PHOTOS)))]
    width, height = crops.load(photo).size
    spot = crops.random_crop(photo, looks.ANYWHERE, random)
    views = []
    for _ in range(2):
        side = spot.side * random.uniform(0.75, 1.0)
        shift = random.uniform(-0.15, 0.15, size=2) * spot.side
        left = float(np.clip(spot.left + shift[0], 0, width - side))
        top = float(np.clip(spot.top + shift[1], 0, height - side))
        mirrored = bool(random.random() < 0.5)
        views.append(crops.cut(photo, crops.Crop(left, top, side, mirrored)))
    images = looks.to_tensor(np.stack(views))[:, torch.from_numpy(random.permutation(3))]
    return 1 - images if random.random() < 0.25 else images


def _disturb(images: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    """Light, contrast, softness and noise: generated pictures have all of these."""
    count = len(images)

    def draw(low: float, high: float) -> torch.Tensor:
        return torch.from_numpy(random.uniform(low, high, size=(count, 1, 1, 1))).float()

    images = (images - 0.5) * draw(0.75, 1.25) + 0.5 + draw(-0.12, 0.12)
    soft = functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    images = torch.lerp(images, soft, draw(-0.3, 1.0).clamp(min=0))
    noise = torch.from_numpy(random.standard_normal(images.shape, dtype=np.float32))
    return (images + noise * draw(0.0, 0.06)).clamp(0, 1)


def _training_step(
    model: TinyClassifier,
    optimizer: torch.optim.Optimizer,
    images: torch.Tensor,
    labels: torch.Tensor,
) -> dict[str, float]:
    features = model.features(images.contiguous(memory_format=torch.channels_last))
    logits = model.logits_of(features[:NAMED])
    naming = functional.cross_entropy(logits, labels[:NAMED])
    contrast = contrastive_loss(features, labels)
    optimizer.zero_grad(set_to_none=True)
    (naming + CONTRAST_WEIGHT * contrast).backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    right = (logits.argmax(dim=1) == labels[:NAMED]).float().mean()
    return {"naming": naming.item(), "contrast": contrast.item(), "accuracy": right.item()}


def contrastive_loss(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Supervised contrastive loss of unit features [n, d] with labels [n]."""
    itself = torch.eye(len(labels), dtype=torch.bool)
    alike = (labels[:, None] == labels[None, :]) & ~itself
    similarity = (features @ features.T / TEMPERATURE).masked_fill(itself, -torch.inf)
    log_share = similarity.log_softmax(dim=1).masked_fill(~alike, 0.0)
    friends = alike.sum(dim=1)
    return -(log_share.sum(dim=1) / friends.clamp(min=1))[friends > 0].mean()
