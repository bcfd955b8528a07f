"""Window geometry against what the specification says in words."""

import math

import pytest
import torch
from torch.nn import functional as F

from graftwork.backbones.rvideformer.axis import Axis, taps
from graftwork.backbones.rvideformer.masks import class_masks, window_order
from graftwork.backbones.rvideformer.mutual import sine_code
from graftwork.backbones.rvideformer.windows import geometry

CPU = torch.device("cpu")


def cut(size, **changes):
    options = {"window": (6, 8, 8), "shifted": False, "mode": "auto", "padding": "compatible"}
    return geometry(size, **{**options, **changes})


def test_neighbourhoods_are_centred_on_their_window_and_clamped():
    geometry = cut((6, 64, 64))
    assert geometry.coarse == (32, 32)
    assert geometry.starts == ((0,), *((0, 2, 6, 10, 14, 18, 22, 24),) * 2)


@pytest.mark.parametrize(("rows", "coarse"), [(8, 8), (32, 8), (33, 20), (40, 20), (64, 32)])
def test_more_than_four_windows_in_height_have_neighbourhoods(rows, coarse):
    geometry = cut((6, rows, 64))
    assert geometry.coarse[0] == coarse
    assert geometry.coarse[1] == (32 if coarse > 8 else 8)  # the width is not asked


def test_a_map_one_window_wide_is_its_own_neighbourhood():
    assert cut((6, 64, 8)).coarse[1] == 8


@pytest.mark.parametrize(("length", "coarse"), [(64, 32), (32, 8), (24, 8), (72, 8), (8, 8)])
def test_taps_are_those_of_bilinear_resizing(length, coarse):
    axis = Axis(length, 8, 0, coarse, False)
    weights = F.interpolate(torch.eye(length)[:, None], coarse, mode="linear")[:, 0]
    for i in range(coarse):
        assert taps(i, axis) == weights[:, i].nonzero().flatten().tolist()


def test_axes_not_longer_than_their_window_are_not_shifted():
    assert cut((6, 64, 8), shifted=True).shifts == (0, 4, 0)
    assert cut((12, 64, 64), shifted=True).shifts == (3, 4, 4)


def test_classes_count_every_window_and_are_few():
    for each, most in (
        (cut((6, 64, 64)), 1),
        (cut((6, 64, 64), shifted=True), 4),
        (cut((12, 64, 64), shifted=True), 8),
        (cut((8, 30, 64), shifted=True, padding="masked"), 12),
    ):
        classes = each.classes
        windows = math.prod(each.windows)
        assert sum(own.windows for own in classes) == windows
        assert len(classes) <= most
        order, back = window_order(each, CPU)
        assert torch.equal(order[back], torch.arange(windows))


def test_masks_part_the_regions_that_a_roll_brings_together():
    geometry = cut((6, 16, 8), shifted=True)
    inner, last = geometry.classes
    assert class_masks(inner.axes, torch.float32, CPU) == (None, None, None)
    window, pooled, coarse = class_masks(last.axes, torch.float32, CPU)
    row = torch.arange(384) // 8 % 8
    apart = (row[:, None] < 4) != (row < 4)
    assert torch.equal(window, -100.0 * apart)
    assert torch.equal(coarse, window)
    frame, x = torch.arange(384) // 64, torch.arange(384) % 8
    even = (row % 2 == 0) & (x % 2 == 0) & (frame >= 0)
    assert torch.equal(pooled, window[:, even])


def test_the_sine_code_has_known_values():
    code = sine_code(8, 8, 24, torch.float64, CPU).view(8, 8, 24)
    angle = torch.tensor(3 / 8 * 2 * torch.pi, dtype=torch.float64)
    for value, known in (
        (code[2, 5, 0], angle.sin()),
        (code[2, 5, 1], angle.cos()),
        (code[5, 2, 12], angle.sin()),
        (code[2, 5, 2], (angle / 10000 ** (2 / 12)).sin()),
    ):
        assert abs(value - known) < 1e-5
