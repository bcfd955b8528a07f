"""Clips of any length, in groups and tiles."""

import pytest
import torch

from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.backbones.rvideformer.streaming import denoise_stream, tiles
from graftwork.core.errors import GraftworkError


def streamed(model, clip, **options):
    return torch.stack(list(denoise_stream(model, iter(clip), **options)))


def test_without_shifts_groups_are_the_whole_clip_exactly(tiny):
    model = tiny()
    clip = torch.rand(4, 4, 32, 40)
    with torch.no_grad():
        whole = model(clip[None])[0]
    assert torch.equal(streamed(model, clip), whole)


def test_a_shorter_last_group_runs_at_its_own_length(tiny):
    model = tiny(depths=(2,) * 7)
    clip = torch.rand(5, 4, 32, 32)
    with torch.no_grad():
        parts = [model(part[None])[0] for part in clip.split(2)]
    assert [len(part) for part in parts] == [2, 2, 1]
    assert torch.equal(streamed(model, clip), torch.cat(parts))


def test_frames_are_read_a_group_at_a_time(tiny):
    read = []

    def frames():
        for number in range(1000):
            read.append(number)
            yield torch.rand(4, 32, 32)

    stream = denoise_stream(tiny(), frames())
    assert not read
    next(stream)
    assert len(read) == 2
    next(stream)
    next(stream)
    assert len(read) == 4


class Level(RViDeformer):
    """Answers every tile with one level, another one each time."""

    def forward(self, clip):
        self.calls = getattr(self, "calls", -1) + 1
        return torch.full_like(clip, float(self.calls % 2))


def test_tiles_are_blended_by_linear_ramps(tiny):
    model = Level(tiny().config)
    out = streamed(model, torch.zeros(1, 4, 32, 88), tile=32, overlap=4)[0, 0]
    line = out[7]
    assert (out - line).abs().max() < 1e-6  # one row of tiles: no change from row to row
    assert torch.allclose(line[28:32], torch.tensor([0.2, 0.4, 0.6, 0.8]))
    assert line[:28].abs().max() == 0
    assert torch.allclose(line[32:56], torch.ones(24))
    assert line.diff().abs().max() < 0.2 + 1e-6  # no step larger than a ramp's


@pytest.mark.parametrize(("size", "tile", "overlap"), [((61, 75), 32, 8), ((33, 90), 40, 0)])
@pytest.mark.parametrize("at_once", [1, 3])
def test_tiles_cover_every_pixel_once_in_all(tiny, size, tile, overlap, at_once):
    model = tiny()
    torch.nn.init.zeros_(model.conv_last.weight)
    torch.nn.init.zeros_(model.conv_last.bias)
    clip = torch.rand(1, 4, *size)
    out = streamed(model, clip, tile=tile, overlap=overlap, at_once=at_once)
    assert (out - clip).abs().max() < 1e-6


def test_tiles_of_a_batch_are_those_one_by_one(tiny):
    model = tiny()
    clip = torch.rand(1, 4, 48, 40)
    one, three = (streamed(model, clip, tile=32, at_once=n) for n in (1, 3))
    assert (one - three).abs().max() < 2e-6


def test_a_large_frame_has_as_many_tiles_as_published():
    rows, cols = tiles(540, 64, 8), tiles(960, 64, 8)
    assert len(rows) * len(cols) == 170
    assert rows[-1].area == slice(476, 540)
    weights = torch.zeros(540)
    for span in rows[:-1]:
        weights[span.area] += span.weight
    assert torch.allclose(weights[:476], torch.ones(476))


def test_the_model_is_left_in_its_mode(tiny):
    model = tiny(drop_path=0.9).train()
    clip = torch.rand(1, 4, 32, 32)
    assert torch.equal(streamed(model, clip), streamed(model, clip))
    assert model.training


def test_frames_that_do_not_fit_are_told(tiny):
    model = tiny()
    good = torch.rand(4, 32, 32)
    for frames, told in (
        ([good, torch.rand(4, 32, 40)], "frame 1: is 32 x 40, the first is 32 x 32"),
        ([good[:3]], "frame 0: has shape"),
    ):
        with pytest.raises(GraftworkError, match=told):
            list(denoise_stream(model, iter(frames)))
    with pytest.raises(GraftworkError, match="overlap: 20"):
        denoise_stream(model, [good], tile=32, overlap=20)
    with pytest.raises(GraftworkError, match="at_once"):
        denoise_stream(model, [good], at_once=0)
