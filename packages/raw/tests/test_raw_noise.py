"""Noise against its formula, and what is done about it."""

import math

import pytest
import torch

from graftwork.raw.levels import normalise
from graftwork.raw.matching import match_noise
from graftwork.raw.mosaic import pack
from graftwork.raw.noise_model import Noise
from graftwork.raw.noising import add_noise, variance
from graftwork.raw.sensor_file import load_sensor
from graftwork.raw.stabilising import destabilise, stabilise

CRVD = load_sensor("crvd")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def flat(level, side=512):
    return torch.full((side, side), 240 + 3855 * level, dtype=torch.float64)


@pytest.mark.parametrize("iso", CRVD.isos)
@pytest.mark.parametrize("level", [0.0, 0.05, 0.4])
def test_mean_and_variance_are_those_of_the_model(iso, level):
    noise, clean = CRVD.noise(iso), flat(level)
    noisy = add_noise(clean, noise, CRVD, generator=generator(), clip=False)
    expected = noise.a * 3855 * level + noise.b
    assert variance(clean, noise, CRVD)[0, 0] == pytest.approx(expected)
    count = clean.numel()
    assert noisy.mean() == pytest.approx(float(clean[0, 0]), abs=5 * (expected / count) ** 0.5)
    assert noisy.var() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("iso", "dark", "bright"),
    [
        (1600, 43.3, 37.4),
        (3200, 40.3, 34.4),
        (6400, 37.4, 31.5),
        (12800, 34.2, 28.5),
        (25600, 31.0, 25.5),
    ],
)
def test_flat_fields_have_the_published_psnr(iso, dark, bright):
    # The table of the specification of the method: noisy PSNR at 5 % and 20 % of the range.
    for level, expected in ((0.05, dark), (0.2, bright)):
        clean = flat(level)
        noisy = add_noise(clean, CRVD.noise(iso), CRVD, generator=generator(1))
        planes = [normalise(pack(each, "GBRG"), CRVD, negatives="clamp") for each in (noisy, clean)]
        found = -10 * math.log10(float((planes[0] - planes[1]).square().mean()))
        assert found == pytest.approx(expected, abs=0.1)


def test_clipping_bounds_both_ends_and_signed_noise_is_unbiased():
    noise = CRVD.noise(25600)
    clipped = add_noise(flat(0.99), noise, CRVD, generator=generator())
    assert clipped.max() == 4095
    signed = add_noise(flat(0.99), noise, CRVD, generator=generator(), clip=False)
    assert signed.max() > 4095
    assert signed.mean() == pytest.approx(float(flat(0.99)[0, 0]), rel=1e-3)
    assert clipped.mean() < signed.mean() - 50


def test_the_generator_decides():
    noise, clean = CRVD.noise(3200), flat(0.1, 32)
    first, again = (add_noise(clean, noise, CRVD, generator=generator(3)) for _ in range(2))
    other = add_noise(clean, noise, CRVD, generator=generator(4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_row_noise_is_shared_by_each_row():
    noise = Noise(a=1e-6, b=0.0, row=10.0)
    noisy = add_noise(flat(0.5), noise, CRVD, generator=generator(), clip=False)
    assert noisy.std(dim=1).max() < 0.1
    assert noisy.mean(dim=1).std() == pytest.approx(10.0, rel=0.15)
    assert variance(flat(0.5, 2), noise, CRVD)[0, 0] == pytest.approx(100.0, rel=1e-3)


@pytest.mark.parametrize("iso", [1600, 25600])
def test_stabilised_noise_has_deviation_one(iso):
    noise = CRVD.noise(iso)
    for level in (0.01, 0.1, 0.5):
        noisy = add_noise(flat(level), noise, CRVD, generator=generator(), clip=False)
        assert stabilise(noisy - 240, noise).std() == pytest.approx(1.0, abs=0.03)


def test_the_algebraic_inverse_undoes_the_transform():
    noise = CRVD.noise(25600)
    # From where the root begins to where the sensor is full, below black included.
    x = torch.linspace(-noise.a * 0.375 - noise.b / noise.a, 3855, 1001, dtype=torch.float64)
    back = destabilise(stabilise(x, noise), noise, inverse="algebraic")
    assert torch.allclose(back, x, atol=1e-9)


@pytest.mark.parametrize("level", [0.005, 0.02, 0.1, 0.4])
def test_the_unbiased_inverse_of_a_mean_is_the_mean(level):
    noise = CRVD.noise(25600)
    noisy = add_noise(flat(level, 1024), noise, CRVD, generator=generator(), clip=False) - 240
    mean = stabilise(noisy, noise).mean()
    unbiased = destabilise(mean, noise, inverse="unbiased")
    algebraic = destabilise(mean, noise, inverse="algebraic")
    assert unbiased == pytest.approx(3855 * level, abs=2.5)
    assert algebraic < unbiased - 8  # a/4: what the algebraic inverse loses


def test_the_unbiased_inverse_does_not_diverge():
    noise = CRVD.noise(3200)
    d = torch.tensor([-5.0, 0.0, 1e-3, 0.5, 2 * 0.375**0.5], dtype=torch.float64)
    found = destabilise(d, noise, inverse="unbiased")
    assert torch.allclose(found, torch.full_like(found, -noise.b / noise.a))
    rising = destabilise(torch.linspace(0, 60, 1000).double(), noise, inverse="unbiased")
    assert (rising.diff() >= -1e-9).all()


def test_matched_noise_is_the_other_sensors():
    own, other = Noise(a=30.0, b=900.0), CRVD.noise(6400)
    match = match_noise(own, other)
    for level in (0.05, 0.3):
        clean = flat(level)
        noisy = add_noise(clean, own, CRVD, generator=generator(), clip=False) - 240
        matched = match.apply(noisy)
        assert matched.var() == pytest.approx(float(other.a * matched.mean() + other.b), rel=0.02)
        assert torch.allclose(match.undo(matched), noisy)


def test_matching_equal_noise_changes_nothing():
    assert match_noise(CRVD.noise(1600), CRVD.noise(1600)) == (1.0, 0.0)
