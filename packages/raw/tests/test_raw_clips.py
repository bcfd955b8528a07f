"""Clips: what they hold is said once and cannot be mistaken."""

import pytest
import torch

from graftwork.core import GraftworkError
from graftwork.raw.clip import MemoryClip, RawClip
from graftwork.raw.content import Content
from graftwork.raw.noised import NoisedClip, frame_seed
from graftwork.raw.pair import ClipPair, captured, noised
from graftwork.raw.sensor_file import load_sensor

CRVD = load_sensor("crvd")


def clip(content, *, length=5, size=(8, 12), name="scene", iso=None):
    frames = torch.full((length, *size), 1000.0)
    return MemoryClip(frames, CRVD, content=content, iso=iso, name=name)


class Counting(RawClip):
    """Counts the frames that are read."""

    def __init__(self, length=1000):
        super().__init__(
            name="counting",
            sensor=CRVD,
            content=Content.CLEAN,
            iso=None,
            length=length,
            size=(8, 8),
        )
        self.read = []

    def frame(self, index):
        self.read.append(index)
        return torch.full((8, 8), 1000.0)


def test_noise_goes_on_clean_clips_alone():
    pair = noised(clip(Content.CLEAN), 3200, seed=0)
    assert pair.noisy.content is Content.NOISED
    assert (pair.noisy.iso, pair.truth.content) == (3200, Content.CLEAN)
    for content in (Content.CAPTURED, Content.NOISED):
        with pytest.raises(GraftworkError, match=f"is {content.value}, noisy already"):
            noised(clip(content), 3200, seed=0)


def test_noise_is_not_added_twice():
    once = NoisedClip(clip(Content.CLEAN), CRVD.noise(1600), seed=0)
    with pytest.raises(GraftworkError, match="scene with noise: is noised, noisy already"):
        NoisedClip(once, CRVD.noise(1600), seed=1)


def test_a_clean_clip_is_no_input():
    with pytest.raises(GraftworkError, match="is clean, and a denoiser needs a noisy clip"):
        captured(clip(Content.CLEAN))
    with pytest.raises(GraftworkError, match="is clean"):
        ClipPair(noisy=clip(Content.CLEAN), truth=None)


def test_a_noisy_clip_is_no_truth():
    with pytest.raises(GraftworkError, match="is to serve as the truth"):
        captured(clip(Content.CAPTURED), clip(Content.CAPTURED))


@pytest.mark.parametrize("other", [{"length": 4}, {"size": (8, 10)}])
def test_truth_and_input_fit(other):
    with pytest.raises(GraftworkError, match="must show the same frames"):
        captured(clip(Content.CAPTURED), clip(Content.CLEAN, **other))


def test_an_unknown_iso_is_refused_before_any_frame_is_read():
    counting = Counting()
    with pytest.raises(GraftworkError, match="ISO 800 is not calibrated; known: 1600"):
        noised(counting, 800, seed=0)
    assert counting.read == []


def test_frames_are_read_one_by_one():
    counting = Counting()
    pair = noised(counting, 1600, seed=0)
    frames = iter(pair.noisy)
    next(frames)
    next(frames)
    assert counting.read == [0, 1]
    pair.noisy.frame(700)
    assert counting.read == [0, 1, 700]


def test_noise_is_the_same_in_any_order_and_another_in_each_frame_and_seed():
    first, again = (NoisedClip(clip(Content.CLEAN), CRVD.noise(6400), seed=7) for _ in range(2))
    last_first = [again.frame(index) for index in (4, 2, 0)][::-1]
    for one, other in zip([first.frame(index) for index in (0, 2, 4)], last_first, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(first.frame(0), first.frame(1))
    another = NoisedClip(clip(Content.CLEAN), CRVD.noise(6400), seed=8)
    assert not torch.equal(first.frame(0), another.frame(0))
    assert len({frame_seed(seed, index) for seed in range(50) for index in range(50)}) == 2500


def test_noised_frames_are_the_sensors_whole_numbers():
    frame = NoisedClip(clip(Content.CLEAN), CRVD.noise(25600), seed=0).frame(0)
    assert frame.dtype == torch.float32
    assert torch.equal(frame, frame.round())
    assert frame.min() >= 0
    assert frame.max() <= 4095


@pytest.mark.parametrize(("first", "count"), [(0, 6), (4, 2), (5, 1)])
def test_a_clip_shorter_than_asked(first, count):
    with pytest.raises(GraftworkError, match=r"scene: has 5 frames, and \d are asked for"):
        clip(Content.CLEAN).frames(first, count)


def test_frames_come_together_when_asked():
    found = clip(Content.CLEAN).frames(1, 3)
    assert found.shape == (3, 8, 12)
    held = MemoryClip.of(Counting(4))
    assert (len(held), held.content, held.size) == (4, Content.CLEAN, (8, 8))
    with pytest.raises(GraftworkError, match="ask for at least 1"):
        clip(Content.CLEAN).frames(0, 0)


def test_odd_sizes_are_refused():
    with pytest.raises(GraftworkError, match="scene: is 7 rows by 12 columns"):
        clip(Content.CLEAN, size=(7, 12))
