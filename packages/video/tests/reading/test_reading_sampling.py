"""Which frames are taken."""

import numpy as np
import pytest

from graftwork.core import GraftworkError
from graftwork.core.config import parse
from graftwork.video.reading.sampling import FrameSampling, even_indices


def test_numbers_of_the_specification():
    taken = FrameSampling().indices(75, np.arange(75) / 25)
    assert taken.tolist() == [0, 10, 21, 31, 42, 52, 63, 74]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 50, 984])
@pytest.mark.parametrize("frames", [1, 2, 8, 13])
def test_even_indices_are_the_formula(count, frames):
    step = (count - 1) / (frames - 1) if frames > 1 else 0
    expected = [int(i * step) for i in range(frames - 1)] + [count - 1 if frames > 1 else 0]
    assert even_indices(count, frames).tolist() == expected


def test_a_short_clip_gives_frames_twice():
    assert FrameSampling(frames=8).indices(3, [0.0, 1.0, 2.0]).tolist() == [0, 0, 0, 0, 1, 1, 1, 2]
    assert FrameSampling(frames=3).indices(1, [0.0]).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("fps", "step"), [(1, 30), (5, 6), (10, 3), (30, 1)])
def test_so_many_a_second(fps, step):
    times = np.arange(91) / 30
    taken = FrameSampling(fps=fps, max_frames=1000).indices(91, times)
    assert taken.tolist() == list(range(0, 91, step))


def test_times_rounded_to_milliseconds_do_no_harm():
    times = np.round(np.arange(91) / 30, 3)
    taken = FrameSampling(fps=30.0).indices(91, times)
    assert taken.tolist() == list(range(91))


def test_uneven_times():
    times = [5.0, 5.1, 5.2, 8.0, 9.4]
    taken = FrameSampling(fps=1.0).indices(5, times)
    assert taken.tolist() == [0, 2, 3, 3, 4]  # 5, 6, 7, 8 and 9 seconds


def test_the_most_are_spread_over_all():
    times = np.arange(1000) / 25
    taken = FrameSampling(fps=2.0, max_frames=5).indices(1000, times)
    assert taken.tolist() == [0, 249, 499, 749, 999]
    assert len(FrameSampling(fps=25.0).indices(1000, times)) == 128


def test_a_single_frame_has_no_rate():
    assert FrameSampling(fps=2.0).indices(1, [0.0]).tolist() == [0]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"frames": 8, "fps": 1.0}, "choose one and leave out the other"),
        ({"max_frames": 8}, "give fps or leave it out"),
        ({"frames": 0}, "frames"),
        ({"fps": 0.0}, "fps"),
        ({"fps": "2"}, "fps"),
    ],
)
def test_what_is_refused(given, complaint):
    with pytest.raises(GraftworkError, match=complaint) as caught:
        parse(FrameSampling, given, "run.toml: sampling")
    assert "\n" not in str(caught.value)


def test_the_same_choice_has_one_identity():
    assert FrameSampling().identity() == FrameSampling(frames=8).identity()
    assert FrameSampling(fps=1.0).identity() == FrameSampling(fps=1.0, max_frames=128).identity()
    others = [FrameSampling(), FrameSampling(frames=9), FrameSampling(fps=8.0)]
    assert len({each.identity() for each in others}) == 3
