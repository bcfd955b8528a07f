"""The weights that ship: small, merged, and a denoiser at every ISO of a sensor it knows."""

import math

import pytest
import torch

from graftwork.backbones.rvideformer.settings import TinyRViDeformerConfig
from graftwork.backbones.rvideformer.tiny import TinyRViDeformer, weights
from graftwork.raw.clip import MemoryClip
from graftwork.raw.content import Content
from graftwork.raw.levels import normalise
from graftwork.raw.mosaic import pack
from graftwork.raw.noised import NoisedClip
from graftwork.raw.sensor_file import load_sensor

SENSOR = load_sensor("crvd")
SIDE = 128


def scene() -> MemoryClip:
    """Discs and stripes that move by two pixels a frame, nothing of which was in the training."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    frames = []
    for time in range(3):
        x, y = columns + 2 * time, rows + time
        disc = ((x - 60) ** 2 + (y - 50) ** 2 < 900).float()
        stripes = 0.5 + 0.5 * torch.sin(x / 7.0 + y / 11.0)
        frames.append(0.05 + 0.25 * disc + 0.12 * stripes)
    mosaics = 240 + torch.stack(frames) * (4095 - 240)
    return MemoryClip(mosaics, SENSOR, content=Content.CLEAN)


def planes(clip) -> torch.Tensor:
    return normalise(pack(clip.frames(0, 3), SENSOR.pattern), SENSOR, negatives="keep")


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return -10 * math.log10(float((a - b).square().mean()))


@pytest.fixture(scope="module")
def backbone() -> TinyRViDeformer:
    return TinyRViDeformer(TinyRViDeformerConfig())


def test_the_file_is_small_and_merged(backbone: TinyRViDeformer) -> None:
    assert weights().stat().st_size < 4 * 2**20
    network = backbone.module.network
    assert network.config.form == "merged"
    assert "auto" not in network.config.branches, "what it computes would hang on the tile's size"


@pytest.mark.parametrize(("iso", "gain"), [(1600, 0.0), (6400, 3.0), (25600, 5.0)])
def test_it_gains_at_every_iso_and_harms_at_none(
    backbone: TinyRViDeformer, iso: int, gain: float
) -> None:
    truth = scene()
    noise = SENSOR.noise(iso)
    noisy = NoisedClip(truth, noise, seed=4)
    restored = torch.stack(list(backbone.denoise(noisy, noise)))
    before, after = psnr(planes(noisy), planes(truth)), psnr(restored, planes(truth))
    assert after > before + gain, f"{before:.2f} dB to {after:.2f} dB"
