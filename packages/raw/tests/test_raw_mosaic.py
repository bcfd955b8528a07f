"""Packing, levels, and orientations that leave the colours where they are."""

import dataclasses

import pytest
import torch

from graftwork.core import GraftworkError
from graftwork.raw.cfa import PATTERNS, pattern_with_red_at, plane_offsets
from graftwork.raw.levels import black_map, denormalise, normalise, quantise
from graftwork.raw.mosaic import pack, unpack
from graftwork.raw.orientation import MODES, Window, cut, orient, orient_mosaic, orient_planes
from graftwork.raw.sensor_file import load_sensor

CRVD = load_sensor("crvd")


def colours(pattern, height, width):
    """The letter's number at each pixel: which colour it sees."""
    cell = torch.tensor([ord(letter) for letter in pattern]).reshape(2, 2)
    return cell.repeat(height // 2, width // 2)


def test_gbrg_is_packed_as_published():
    raw = torch.arange(48).reshape(6, 8)
    expected = torch.stack([raw[1::2, 0::2], raw[1::2, 1::2], raw[0::2, 1::2], raw[0::2, 0::2]])
    assert torch.equal(pack(raw, "GBRG"), expected)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_planes_hold_their_colours(pattern):
    planes = pack(colours(pattern, 4, 6), pattern)
    assert [set(map(chr, plane.flatten().tolist())) for plane in planes] == [
        {"R"},
        {"G"},
        {"B"},
        {"G"},
    ]
    # The first green shares its row with red.
    (red_row, _), (green_row, _), *_ = plane_offsets(pattern)
    assert red_row == green_row


@pytest.mark.parametrize("pattern", PATTERNS)
def test_unpacking_undoes_packing(pattern):
    raw = torch.randn(2, 3, 6, 10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(unpack(pack(raw, pattern), pattern), raw)


@pytest.mark.parametrize("size", [(5, 4), (4, 5), (0, 4)])
def test_odd_sizes_are_refused(size):
    with pytest.raises(GraftworkError, match="a Bayer mosaic has an even number of both"):
        pack(torch.zeros(size), "RGGB")


def test_levels_are_those_of_each_plane():
    sensor = dataclasses.replace(CRVD, black_level=(100.0, 200.0, 300.0, 400.0))
    raw = black_map(sensor, 4, 6)
    assert raw[:2, :2].tolist() == [[400.0, 300.0], [100.0, 200.0]]  # GB / RG
    planes = pack(raw, sensor.pattern)
    assert normalise(planes, sensor, negatives="keep").abs().max() == 0
    white = torch.full_like(planes, sensor.white_level)
    assert normalise(white, sensor, negatives="keep").eq(1).all()


def test_negatives_are_kept_or_clamped_as_asked():
    planes = torch.full((4, 1, 1), 240.0 - 38.55, dtype=torch.float64)
    kept = normalise(planes, CRVD, negatives="keep")
    assert kept.flatten().tolist() == pytest.approx([-0.01] * 4)
    assert torch.equal(normalise(planes, CRVD, negatives="clamp"), torch.zeros(4, 1, 1).double())
    assert torch.allclose(denormalise(kept, CRVD), planes)


def test_every_level_survives_normalising_in_single_precision():
    levels = torch.arange(4096.0).reshape(64, 64)
    planes = pack(levels, "GBRG")
    back = denormalise(normalise(planes, CRVD, negatives="keep"), CRVD)
    assert torch.equal(quantise(back, CRVD, rounding="nearest"), planes.int())


def test_truncation_costs_half_a_number():
    dn = 300.025 + torch.arange(1000, dtype=torch.float64) / 20
    assert (dn - quantise(dn, CRVD, rounding="truncate")).mean() == pytest.approx(0.5, abs=0.01)
    assert (dn - quantise(dn, CRVD, rounding="nearest")).mean() == pytest.approx(0.0, abs=0.01)
    beyond = torch.tensor([-3.0, 5000.0])
    assert quantise(beyond, CRVD, rounding="nearest").tolist() == [0, 4095]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("mode", MODES)
def test_orientations_keep_the_pattern(pattern, mode):
    raw = colours(pattern, 8, 12)
    found = orient_mosaic(raw, mode, pattern)
    assert torch.equal(found, colours(pattern, *found.shape))
    assert min(found.shape) >= 6
    part = cut(raw, Window(2, 2, 4, 4), mode=mode, pattern=pattern)
    assert torch.equal(part, colours(pattern, 4, 4))


def test_the_eight_orientations_differ_and_are_those_of_the_square():
    image = torch.arange(9).reshape(3, 3)
    found = {tuple(orient(image, mode).flatten().tolist()) for mode in MODES}
    turned = [torch.rot90(each, k) for each in (image, image.T) for k in range(4)]
    assert found == {tuple(each.flatten().tolist()) for each in turned}


@pytest.mark.parametrize("mode", MODES)
def test_orienting_planes_moves_no_colour_against_another(mode):
    # One plane of a slope: mirroring the planes alone would break it by a pixel here and there.
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(12.0), indexing="ij")
    slope = 3 * rows + 5 * columns
    found = unpack(orient_planes(pack(slope, "GBRG"), mode, "GBRG"), "GBRG")
    for axis in (0, 1):
        assert found.diff(dim=axis).unique().numel() == 1


def test_a_cut_has_the_size_asked_for_whatever_the_mode():
    raw = torch.zeros(2, 20, 30)
    for mode in MODES:
        assert cut(raw, Window(4, 6, 8, 10), mode=mode, pattern="GBRG").shape == (2, 8, 10)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (Window(1, 0, 4, 4), "must be even"),
        (Window(0, 0, 4, 0), "must be even"),
        (Window(6, 0, 4, 4), "reaches to row 10"),
    ],
)
def test_wrong_windows_are_refused(window, message):
    with pytest.raises(GraftworkError, match=message):
        cut(torch.zeros(8, 8), window, pattern="RGGB")


def test_red_is_found_by_its_place():
    assert [pattern_with_red_at(*plane_offsets(each)[0]) for each in PATTERNS] == list(PATTERNS)
