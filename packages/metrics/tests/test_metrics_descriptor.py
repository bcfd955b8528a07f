"""The classical descriptor: what it must not mind, and what it must see."""

import pytest
import skimage.data
import torch
from torch.nn.functional import interpolate

from graftwork.metrics.cosine import all_cosines, cosines
from graftwork.metrics.descriptor import DIMS, descriptor


@pytest.fixture(scope="module")
def cat():
    return torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)[None] / 255


def likeness(a, b):
    return cosines(descriptor(a), descriptor(b)).item()


def test_shape_type_and_length(cat):
    found = descriptor(cat.expand(3, -1, -1, -1))
    assert found.shape == (3, DIMS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.full((3,), 2.0**0.5))


def test_an_image_does_not_depend_on_its_batch(cat):
    batch = torch.cat([cat, cat.flip(3), 1 - cat])
    torch.testing.assert_close(descriptor(batch)[1:2], descriptor(cat.flip(3)), rtol=0, atol=0)


def test_swapped_channels_change_the_colours_and_hardly_the_gradients(cat):
    """The cosine is the mean of both parts'."""
    a, b = descriptor(cat), descriptor(cat[:, [2, 1, 0]])
    colours, gradients = (
        cosines(a[:, part], b[:, part]) for part in (slice(512), slice(512, None))
    )
    torch.testing.assert_close(cosines(a, b), (colours + gradients) / 2)
    assert gradients > 0.9 > colours


def test_size_matters_little_and_content_much(cat):
    small = interpolate(cat, (96, 96), mode="bilinear", antialias=True)
    coffee = torch.from_numpy(skimage.data.coffee()).permute(2, 0, 1)[None] / 255
    assert likeness(cat, small) > 0.98
    assert likeness(cat, coffee) < 0.8


def test_near_colours_are_nearer_than_far_ones():
    red, rose, blue = (
        torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 16, 16)
        for colour in ([0.8, 0.1, 0.1], [0.8, 0.2, 0.2], [0.1, 0.1, 0.8])
    )
    found = all_cosines(descriptor(red), descriptor(torch.cat([red, rose, blue])))[0]
    assert found[0] > found[1] > found[2]


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_images_are_finite(level):
    assert descriptor(torch.full((1, 3, 64, 64), level)).isfinite().all()


def test_no_images_no_descriptors():
    assert descriptor(torch.empty(0, 3, 8, 8)).shape == (0, DIMS)
