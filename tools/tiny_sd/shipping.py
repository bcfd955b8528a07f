"""Puts the trained parts together as one pipeline folder, in fp16 safetensors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from diffusers import AutoencoderKL, StableDiffusionPipeline
from safetensors.torch import save_file

from graftwork.backbones.diffusion.classifier import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    TinyClassifier,
)
from tiny_sd import tokens
from tiny_sd.denoiser import Denoiser, scheduler

CLASSIFIER_FOLDER = "classifier"
CARD = "README.md"


def pipeline(vae: AutoencoderKL, denoiser: Denoiser) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=denoiser.text_encoder,
        tokenizer=denoiser.tokenizer,
        unet=denoiser.unet,
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def ship(vae: AutoencoderKL, denoiser: Denoiser, classifier: TinyClassifier, folder: Path) -> None:
    """Write everything beside `folder`, then swap: readers never meet half a model.

    The model card of a folder that is replaced is kept: it is written by hand.
    """
    beside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    # This casts the modules themselves; nobody uses them after shipping.
    for module in (vae, denoiser.unet, denoiser.text_encoder, classifier):
        module.half()
    pipeline(vae, denoiser).save_pretrained(beside, safe_serialization=True)
    tokens.save(denoiser.tokenizer, beside / "tokenizer")
    _save_classifier(classifier, beside / CLASSIFIER_FOLDER)
    for path in beside.rglob("*.safetensors"):
        path.chmod(0o644)  # they are written readable for their owner alone
    if (folder / CARD).exists():
        shutil.copy2(folder / CARD, beside / CARD)
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def _save_classifier(classifier: TinyClassifier, folder: Path) -> None:
    folder.mkdir()
    config = json.dumps(classifier.config(), indent=2) + "\n"
    (folder / CONFIG_FILE).write_text(config, encoding="utf-8")
    save_file(classifier.state_dict(), folder / WEIGHTS_FILE)


def size_in_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
