"""Pixels against CLIP's own processor, and the release's way with files against its description."""

import pytest
import torch
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from graftwork.backbones.videollm.valley.pixels import to_pixel_values
from graftwork.core.errors import GraftworkError

SIZES = [(240, 320), (321, 243), (100, 160), (224, 224), (37, 501)]


@pytest.fixture(scope="module")
def processor():
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    return CLIPImageProcessorPil()


def picture(height, width, count=2):
    """Smooth colours, edges and noise."""
    generator = torch.Generator().manual_seed(height)
    coarse = torch.rand(count, 3, 6, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    noise = 0.1 * torch.randn(count, 3, height, width, generator=generator)
    smooth[:, :, height // 3 :, width // 2 :] *= 0.3
    return ((smooth + noise).clamp(0, 1) * 255).to(torch.uint8)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_default_is_clips_own(height, width, processor):
    frames = picture(height, width)
    ours = to_pixel_values(frames)
    theirs = processor(images=[f.permute(1, 2, 0).numpy() for f in frames], return_tensors="pt")
    apart = (ours - theirs["pixel_values"]).abs()
    level = 1 / 255 / min(OPENAI_CLIP_STD)
    assert ours.shape == (2, 3, 224, 224)
    assert apart.max() < 2.01 * level  # of 255: rows and columns are rounded in turn
    assert apart.mean() < 0.05 * level


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("size", [224, 56])
def test_legacy_picks_nearest_pixels(height, width, size):
    frames = picture(height, width)
    ours = to_pixel_values(frames, legacy=True, size=size)
    short = size * 256 // 224
    tall, wide = (
        (int(short * height / width), short)
        if width <= height
        else (short, int(short * width / height))
    )
    top, left = round((tall - size) / 2), round((wide - size) / 2)
    for y, x in [(0, 0), (size - 1, size - 1), (7, size // 2)]:
        pixel = frames[:, :, (y + top) * height // tall, (x + left) * width // wide] / 255
        expected = (pixel - torch.tensor(OPENAI_CLIP_MEAN)) / torch.tensor(OPENAI_CLIP_STD)
        torch.testing.assert_close(ours[:, :, y, x], expected)


def test_other_sizes_and_statistics():
    frames = torch.full((1, 3, 20, 30), 255, dtype=torch.uint8)
    values = to_pixel_values(frames, size=16, mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 1.0))
    assert values.shape == (1, 3, 16, 16)
    assert values[0, :, 3, 3].tolist() == [2.0, 1.0, 0.5]


def test_refuses_no_frame():
    with pytest.raises(GraftworkError, match="at least one RGB frame"):
        to_pixel_values(torch.zeros(0, 3, 8, 8, dtype=torch.uint8))
