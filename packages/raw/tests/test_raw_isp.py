"""The fixed chain from raw to sRGB."""

import pytest
import torch

from graftwork.raw.cfa import PATTERNS
from graftwork.raw.colour import camera_to_rgb, rgb_to_camera
from graftwork.raw.demosaicing import demosaic
from graftwork.raw.isp import NAME, render, smoothstep
from graftwork.raw.mosaic import pack


def test_matrices_keep_white_and_undo_each_other():
    there, back = rgb_to_camera(), camera_to_rgb()
    white = torch.ones(3, dtype=torch.float64)
    assert torch.allclose(there @ white, white)
    assert torch.allclose(back @ white, white)
    assert torch.allclose(back @ there, torch.eye(3, dtype=torch.float64))


def slow_demosaic(planes, pattern):
    """Each missing colour is the mean of the neighbours of that colour, pixel by pixel."""
    from graftwork.raw.mosaic import unpack

    mosaic = unpack(planes, pattern)
    height, width = mosaic.shape
    out = torch.zeros(3, height, width, dtype=planes.dtype)
    letter = lambda row, column: pattern[row % 2 * 2 + column % 2]  # noqa: E731
    for row in range(height):
        for column in range(width):
            for index, colour in enumerate("RGB"):
                near = [
                    (mosaic[r, c], abs(r - row) + abs(c - column))
                    for r in range(max(row - 1, 0), min(row + 2, height))
                    for c in range(max(column - 1, 0), min(column + 2, width))
                    if letter(r, c) == colour
                ]
                nearest = min(distance for _, distance in near)
                values = [value for value, distance in near if distance == nearest]
                out[index, row, column] = sum(values) / len(values)
    return out


@pytest.mark.parametrize("pattern", PATTERNS)
def test_demosaicing_is_the_mean_of_the_nearest(pattern):
    planes = torch.rand(4, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found, expected = demosaic(planes, pattern), slow_demosaic(planes, pattern)
    inner = (..., slice(1, -1), slice(1, -1))
    assert torch.allclose(found[inner], expected[inner])
    # At the border greens and mirrored neighbours weigh a little differently; nothing is invented.
    assert (found >= planes.min()).all()
    assert (found <= planes.max()).all()


def test_leading_axes_do_not_matter():
    planes = torch.rand(2, 3, 4, 4, 6, generator=torch.Generator().manual_seed(0))
    found = render(planes, "GBRG")
    assert found.shape == (2, 3, 3, 8, 12)
    assert torch.allclose(found[1, 2], render(planes[1, 2], "GBRG"), atol=1e-6)


def test_ends_stay_ends_and_full_pixels_are_white():
    assert NAME == "graftwork-isp-1"
    black = render(torch.full((4, 4, 4), -0.1), "RGGB")
    assert black.max() < 1e-6
    white = render(torch.ones(4, 4, 4), "RGGB")
    assert torch.allclose(white, torch.ones_like(white), atol=1e-6)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_shows_the_same_colour(pattern):
    light = {"R": 0.3, "G": 0.2, "B": 0.1}
    mosaic = torch.tensor([light[letter] for letter in pattern]).reshape(2, 2).repeat(4, 4)
    found = render(pack(mosaic, pattern), pattern)
    # By hand: gains, matrix, power, smoothstep.
    balanced = torch.tensor([0.3 / 0.5527, 0.2, 0.1 / 0.4844], dtype=torch.float64)
    linear = (camera_to_rgb() @ balanced).clamp(0, 1)
    expected = smoothstep(linear ** (1 / 2.2)).float()[:, None, None].expand(3, 8, 8)
    assert torch.allclose(found, expected, atol=1e-5)


def test_exposure_multiplies_light():
    planes = torch.rand(4, 4, 4, generator=torch.Generator().manual_seed(0)) / 4
    assert torch.allclose(render(planes, "GBRG", exposure=2.0), render(2 * planes, "GBRG"))


def test_it_is_differentiable_and_finite_in_the_dark():
    planes = torch.rand(1, 4, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    # Away from the clips, where there is no derivative.
    planes = (0.1 + 0.2 * planes).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: render(x, "GBRG"), planes)
    dark = torch.tensor([0.0, 1e-12, 1e-6, -1.0]).reshape(4, 1, 1).repeat(1, 2, 2)
    dark = dark.requires_grad_()
    render(dark, "GBRG").sum().backward()
    assert dark.grad.isfinite().all()
