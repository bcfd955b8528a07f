"""How good the shipped weights are: accuracy of the classifier, and a picture to look at."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from graftwork.backbones.diffusion.classifier import TinyClassifier
from tiny_sd import autoencoder, crops, looks, photos, sampling
from tiny_sd.autoencoder import FRESH_SEED
from tiny_sd.grid import Row, draw_grid
from tiny_sd.sampling import Pictures
from tiny_sd.shipping import CLASSIFIER_FOLDER, size_in_bytes


def evaluate(folder: Path, grid: Path) -> None:
    """Print the tables of the model card and write the grid."""
    pipeline = sampling.load_pipeline(folder)
    classifier = TinyClassifier.from_folder(folder / CLASSIFIER_FOLDER)
    report_sizes(folder, pipeline, classifier)
    report_speed(pipeline)
    report_features(classifier)
    report_autoencoder(pipeline)
    rows = report_accuracy(pipeline, classifier)
    draw_grid(rows, grid)
    print(f"grid: {grid.name}, {grid.stat().st_size / 1000:.0f} kB")


def report_sizes(
    folder: Path, pipeline: StableDiffusionPipeline, classifier: TinyClassifier
) -> None:
    parts = {
        "vae": pipeline.vae,
        "text_encoder": pipeline.text_encoder,
        "unet": pipeline.unet,
        "classifier": classifier,
    }
    print("| part | parameters | MB on disk |\n|---|---:|---:|")
    for name, part in parts.items():
        count = sum(parameter.numel() for parameter in part.parameters())
        print(f"| {name} | {count:,} | {size_in_bytes(folder / name) / 1e6:.2f} |")
    print(f"| whole folder | | {size_in_bytes(folder) / 1e6:.2f} |\n")


def report_speed(pipeline: StableDiffusionPipeline) -> None:
    sampling.sample(pipeline, ["a photo of moon"] * 8, seed=0)
    started = time.monotonic()
    sampling.sample(pipeline, ["a photo of moon"] * 8, seed=0)
    seconds = time.monotonic() - started
    settings = f"{sampling.STEPS} steps, guidance {sampling.GUIDANCE}"
    print(f"8 pictures, {settings}, {torch.get_num_threads()} thread(s): {seconds:.1f} s\n")


@torch.no_grad()
def report_features(classifier: TinyClassifier) -> None:
    """Cosine of features within one photo and between photos, held-out ones apart."""
    everything = photos.TRAINING_PHOTOS + photos.HELD_OUT_PHOTOS
    features = []
    for photo in everything:
        pixels = looks.captioned_crops(8, 0, FRESH_SEED, chosen=(photo,)).pixels
        # Wide and tight crops show different things, so each is compared with its like.
        features.append(classifier.features(looks.to_tensor(pixels)).view(2, 8, -1))
    for index in range(len(photos.TRAINING_PHOTOS), len(everything)):
        own = features[index]
        within = torch.stack([_mean_off_diagonal(kind @ kind.T) for kind in own]).mean()
        others = torch.cat([f for i, f in enumerate(features) if i != index], dim=1)
        between = (own.flatten(0, 1) @ others.flatten(0, 1).T).mean()
        print(
            f"features of {everything[index].subject} (never trained on): "
            f"cosine {within:.2f} within, {between:.2f} to other photos"
        )
    print()


def _mean_off_diagonal(matrix: torch.Tensor) -> torch.Tensor:
    count = len(matrix)
    return (matrix.sum() - matrix.trace()) / (count * (count - 1))


def report_autoencoder(pipeline: StableDiffusionPipeline) -> None:
    held_out = {photo.subject for photo in photos.HELD_OUT_PHOTOS}
    psnr = autoencoder.reconstruction_psnr(pipeline.vae)
    trained = np.mean([value for name, value in psnr.items() if name not in held_out])
    print(f"reconstruction of trained photos: {trained:.1f} dB PSNR")
    for name in sorted(held_out):
        print(f"reconstruction of {name} (never trained on): {psnr[name]:.1f} dB PSNR")
    print()


def report_accuracy(pipeline: StableDiffusionPipeline, classifier: TinyClassifier) -> list[Row]:
    print("| subject | real crops | a photo | a close photo | tinted |\n|---|---:|---:|---:|---:|")
    rows, totals = [], []
    for index, photo in enumerate(photos.TRAINING_PHOTOS):
        real = _real_crops(photo)
        made = sampling.sample_subject(pipeline, photo.subject, seed=1000 * index)
        every_real = torch.cat([real.wide, real.close, real.tinted])
        groups = (every_real, made.wide, made.close, made.tinted)
        shares = [_share_named(classifier, images, photo.subject) for images in groups]
        cells = " | ".join(f"{share:.0%}" for share in shares)
        print(f"| {photo.subject} | {cells} |", flush=True)
        rows.append(Row(photo.subject, real, made))
        totals.append(shares)
    means = np.mean(totals, axis=0)
    print("| mean | " + " | ".join(f"{share:.1%}" for share in means) + " |")
    print(f"\nall samples: {np.mean(means[1:]):.1%}\n")
    return rows


def _real_crops(photo: photos.Photo) -> Pictures:
    """Fresh crops: 16 wide, 16 close and, for each of five tints, 8 of each framing."""
    fresh = looks.captioned_crops(16, 8, FRESH_SEED, chosen=(photo,))
    images = looks.to_tensor(fresh.pixels)
    texts = np.array(fresh.captions)
    wide = torch.from_numpy(texts == crops.caption(photo.subject))
    close = torch.from_numpy(texts == crops.caption(photo.subject, close=True))
    return Pictures(images[wide], images[close], images[~(wide | close)])


def _share_named(classifier: TinyClassifier, images: torch.Tensor, subject: str) -> float:
    return float(np.mean([name == subject for name in classifier.names(images)]))
