"""The losses of raw-video denoisers against their equations, written out."""

import math

import pytest
import torch

from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.raw.isp import render
from graftwork.raw.noise_model import Noise
from graftwork.raw.restoration import RestorationStep
from graftwork.raw.sensor_file import load_sensor

NOISE = (Noise(iso=1600, a=3.513262, b=11.917691), Noise(iso=25600, a=52.032536, b=1819.818657))


def loss(name: str, **settings: object):
    record = registry.find("losses", name)
    return record.load()(parse(record.settings_class(), settings, name))


@pytest.fixture
def step() -> RestorationStep:
    generator = torch.Generator().manual_seed(3)
    noisy, truth, prediction = (
        torch.rand(2, 3, 4, 6, 8, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    return RestorationStep(
        sensor=load_sensor("crvd"), noise=NOISE, noisy=noisy, truth=truth, prediction=prediction
    )


def test_l1_raw(step: RestorationStep) -> None:
    expected = (step.prediction - step.truth).abs().sum() / step.truth.numel()
    assert loss("l1-raw")(step) == pytest.approx(float(expected), abs=1e-12)


def test_l1_srgb_goes_through_the_isp(step: RestorationStep) -> None:
    pictures = [render(planes, "GBRG") for planes in (step.prediction, step.truth)]
    expected = float((pictures[0] - pictures[1]).abs().mean())
    assert loss("l1-srgb")(step) == pytest.approx(expected, abs=1e-12)
    assert expected != pytest.approx(float(loss("l1-raw")(step)), rel=0.05)


def test_l1_stabilised_is_in_units_of_each_clips_noise(step: RestorationStep) -> None:
    def stabilised(value: float, noise: Noise) -> float:
        return 2 * math.sqrt(max(value * 3855 / noise.a + 3 / 8 + noise.b / noise.a**2, 0))

    total = 0.0
    for clip in range(2):
        pairs = zip(step.prediction[clip].flatten(), step.truth[clip].flatten(), strict=True)
        total += sum(
            abs(stabilised(float(x), NOISE[clip]) - stabilised(float(y), NOISE[clip]))
            for x, y in pairs
        )
    expected = total / step.truth.numel() / 16
    assert loss("l1-stabilised")(step) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("eps", [1e-3, 0.3])
def test_charbonnier(step: RestorationStep, eps: float) -> None:
    gaps = (step.prediction - step.truth).flatten().tolist()
    expected = sum(math.sqrt(gap * gap + eps * eps) - eps for gap in gaps) / len(gaps)
    assert loss("charbonnier", eps=eps)(step) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("progress", "gamma"), [(0.0, 2.0), (0.25, 2.0), (1.0, 0.5)])
def test_neighbor2neighbor(step: RestorationStep, progress: float, gamma: float) -> None:
    generator = torch.Generator().manual_seed(4)
    half, other, gap = (
        torch.randn(2, 3, 4, 3, 4, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    made = RestorationStep(
        sensor=step.sensor,
        noise=NOISE,
        noisy=step.noisy,
        half=half,
        frozen_half=other,
        frozen_gap=gap,
    )
    method = loss("neighbor2neighbor", gamma=gamma)
    method.progress = progress
    first = ((half - other) ** 2).mean()
    second = ((half - other - gap) ** 2).mean()
    assert method(made) == pytest.approx(float(first + gamma * progress * second), rel=1e-12)


def test_without_truth_it_is_told_what_to_use(step: RestorationStep) -> None:
    bare = RestorationStep(
        sensor=step.sensor, noise=NOISE, noisy=step.noisy, prediction=step.prediction
    )
    with pytest.raises(GraftworkError, match="the data has none; use a loss such as neighbor2"):
        loss("l1-raw")(bare)
