"""The fast model against the plain transcription: values at every kind of size and mode."""

import pytest
import torch

NEAR = ("neighbour",) * 4
FAR = ("global",) * 4


def apart(ours, reference, clip):
    with torch.no_grad():
        return (ours(clip) - reference(clip)).abs().max().item()


@pytest.fixture(scope="module")
def models(pair, small):
    return pair(**small)


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 6, 7, 8])
def test_agrees_at_every_length(models, frames):
    torch.manual_seed(frames)
    assert apart(*models, torch.rand(1, frames, 4, 32, 32)) < 2e-6


@pytest.mark.parametrize("size", [(32, 40), (40, 32)])
def test_agrees_where_windows_are_padded(models, size):
    assert apart(*models, torch.rand(2, 2, 4, *size)) < 2e-6


@pytest.mark.parametrize("padding", ["compatible", "masked"])
@pytest.mark.parametrize("branches", [("auto",) * 4, NEAR, FAR])
def test_agrees_in_every_mode_to_rounding(pair, small, padding, branches):
    ours, reference = pair(**{**small, "padding": padding, "branches": branches})
    clip = torch.rand(1, 3, 4, 40, 32, dtype=torch.float64)
    assert apart(ours.double(), reference.double(), clip) < 1e-12


def test_agrees_for_the_published_windows(pair):
    ours, reference = pair()
    assert apart(ours, reference, torch.rand(1, 1, 4, 64, 72)) < 2e-6


def test_modes_are_different_functions(pair, small):
    near, _ = pair(**{**small, "branches": NEAR})
    far, _ = pair(**{**small, "branches": FAR})
    clip = torch.rand(1, 2, 4, 32, 32)
    assert apart(near, far, clip) > 1e-3


@pytest.mark.parametrize(("side", "scale_two"), [(32, "global"), (64, "neighbour")])
def test_the_automatic_mode_depends_on_the_height(pair, small, side, scale_two):
    auto, _ = pair(**small)
    clip = torch.rand(1, 1, 4, side, 32)
    for mode in ("global", "neighbour"):
        four = "global"
        pinned, _ = pair(**{**small, "branches": ("neighbour", mode, four, four)})
        same = apart(auto, pinned, clip) == 0
        assert same == (mode == scale_two)


def test_an_odd_size_is_padded_by_reflection_and_cropped(models):
    ours, reference = models
    clip = torch.rand(1, 2, 4, 33, 21)
    wide = torch.nn.functional.pad(clip.flatten(0, 1), (0, 11, 0, 7), mode="reflect")[None]
    with torch.no_grad():
        assert (ours(clip) - reference(wide)[..., :33, :21]).abs().max() < 2e-6


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (31, 70)])
def test_any_size_goes_in_and_out(tiny, size):
    clip = torch.rand(2, 3, 4, *size)
    with torch.no_grad():
        assert tiny()(clip).shape == clip.shape


def test_frames_of_a_whole_group_do_not_see_the_padding_after_it(tiny):
    model = tiny()
    clip = torch.rand(1, 3, 4, 32, 32)
    with torch.no_grad():
        whole, first, last = model(clip), model(clip[:, :2]), model(clip[:, 2:])
    assert torch.equal(whole[:, :2], first)
    assert (whole[:, 2:] - last).abs().max() > 1e-3  # it sees a frame of zeros


def test_masked_padding_gives_a_short_last_group_its_own_result(tiny):
    model = tiny(padding="masked")
    clip = torch.rand(1, 3, 4, 32, 32)
    with torch.no_grad():
        assert (model(clip)[:, 2:] - model(clip[:, 2:])).abs().max() < 2e-6


def test_samples_of_a_batch_do_not_meet(models):
    ours, _ = models
    clip = torch.rand(2, 3, 4, 32, 40)
    with torch.no_grad():
        assert (ours(clip)[1:] - ours(clip[1:])).abs().max() < 2e-6
