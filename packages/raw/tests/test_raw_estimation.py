"""Noise read off clips, against the noise that was put in."""

import pytest
import torch

from graftwork.core import GraftworkError
from graftwork.raw.clip import MemoryClip
from graftwork.raw.content import Content
from graftwork.raw.estimation import estimate_noise
from graftwork.raw.line_fit import fit_line
from graftwork.raw.noised import NoisedClip
from graftwork.raw.sensor_file import load_sensor

CRVD = load_sensor("crvd")


def clean(mosaic, length=6):
    frames = (240 + mosaic).float().expand(length, -1, -1)
    return MemoryClip(frames, CRVD, content=Content.CLEAN)


def chart(side=256, brightest=3000.0):
    """Sixty-four flat patches from black to bright."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    number = rows * 8 // side * 8 + columns * 8 // side
    return number * (brightest / 64)


def noisy(mosaic, iso, seed=0):
    return NoisedClip(clean(mosaic), CRVD.noise(iso), seed=seed)


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("iso", [1600, 6400, 25600])
def test_a_chart_tells_its_noise(iso, static):
    found = estimate_noise(noisy(chart(), iso), static=static)
    truth = CRVD.noise(iso)
    assert found.noise.iso == iso
    assert found.noise.a == pytest.approx(truth.a, rel=0.04 if static else 0.1)
    assert found.noise.b == pytest.approx(truth.b, abs=5 * found.b_error)
    assert found.a_error < 0.1 * truth.a


def test_texture_cancels_where_nothing_moves():
    # A fine texture, many times stronger than the noise.
    texture = chart() + 400 * (torch.rand(256, 256, generator=torch.Generator().manual_seed(0)))
    found = estimate_noise(noisy(texture, 6400), static=True)
    assert found.noise.a == pytest.approx(CRVD.noise(6400).a, rel=0.06)


def test_flat_places_are_found_among_texture():
    # Four fifths of every patch are stripes.
    stripes = 300.0 * (torch.arange(256) // 2 % 2) * (torch.arange(256) % 160 >= 32)
    found = estimate_noise(noisy(chart() + stripes, 6400))
    assert found.noise.a == pytest.approx(CRVD.noise(6400).a, rel=0.2)


@pytest.mark.parametrize("level", [0.0, 500.0])
def test_one_level_tells_no_line(level):
    with pytest.raises(GraftworkError, match="too dark, or has too few levels"):
        estimate_noise(noisy(torch.full((256, 256), level), 6400))


def test_too_little_to_measure_is_refused():
    with pytest.raises(GraftworkError, match="too few unclipped places"):
        estimate_noise(noisy(chart(32), 6400))
    with pytest.raises(GraftworkError, match="too few unclipped places"):
        estimate_noise(noisy(torch.full((256, 256), 3900.0), 6400))


def test_clean_and_single_frames_are_refused():
    with pytest.raises(GraftworkError, match="is clean"):
        estimate_noise(clean(chart()))
    single = MemoryClip(chart()[None].float() + 240, CRVD, content=Content.CAPTURED)
    with pytest.raises(GraftworkError, match="has 1 frames, and 2 are asked for"):
        estimate_noise(single)


def test_points_far_above_the_line_do_not_move_it():
    x = torch.linspace(0, 10, 40, dtype=torch.float64)
    chance = torch.Generator().manual_seed(0)
    y = 3 * x + 2 + 0.1 * torch.randn(40, generator=chance, dtype=torch.float64)
    y[::8] += 30
    line = fit_line(x, y, torch.full_like(x, 0.1))
    assert line.slope == pytest.approx(3, abs=0.1)
    assert line.offset == pytest.approx(2, abs=0.3)


def test_errors_of_a_good_line_are_those_of_least_squares():
    x = torch.linspace(0, 10, 2000, dtype=torch.float64)
    chance = torch.Generator().manual_seed(1)
    y = 3 * x + 2 + 0.1 * torch.randn(2000, generator=chance, dtype=torch.float64)
    line = fit_line(x, y, torch.full_like(x, 0.1))
    textbook = 0.1 / float((x - x.mean()).square().sum()) ** 0.5
    assert line.slope_error == pytest.approx(textbook, rel=0.15)
