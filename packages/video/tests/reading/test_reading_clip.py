"""Clips of whatever lies on a disk, and their names."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from graftwork.core import GraftworkError
from graftwork.video.reading.clip import clip_key, count_frames, read_clip
from graftwork.video.reading.sampling import FrameSampling

EIGHT = FrameSampling()


@pytest.fixture(scope="module")
def film(films, tmp_path_factory):
    return films.write(tmp_path_factory.mktemp("clip") / "film.mp4", count=75)


@pytest.fixture
def folder(films, tmp_path):
    made = tmp_path / "frames"
    made.mkdir()
    for number in range(12):
        Image.fromarray(films.numbered(number)).save(made / f"{number}.png")
    return made


def numbers(films, clip):
    return [films.number_of(frame) for frame in clip.frames.numpy()]


def test_a_film(films, film):
    clip = read_clip(film, EIGHT)
    assert clip.name == str(film)
    assert (clip.frames.dtype, clip.frames.shape) == (torch.uint8, (8, 3, 64, 96))
    assert numbers(films, clip) == [0, 10, 21, 31, 42, 52, 63, 74]
    assert clip.times == pytest.approx([n / 25 for n in (0, 10, 21, 31, 42, 52, 63, 74)])
    assert len(clip) == count_frames(film, EIGHT) == 8


def test_so_many_a_second(films, film):
    clip = read_clip(film, FrameSampling(fps=5.0))
    assert numbers(films, clip) == list(range(0, 75, 5))
    assert count_frames(film, FrameSampling(fps=5.0)) == 15
    assert count_frames(film, FrameSampling(fps=5.0, max_frames=4)) == 4


def test_a_folder(films, folder):
    assert numbers(films, read_clip(folder, FrameSampling(frames=4))) == [0, 3, 7, 11]
    clip = read_clip(folder, FrameSampling(fps=1.0, picture_rate=3.0))
    assert numbers(films, clip) == [0, 3, 6, 9]
    assert clip.times == (0.0, 1.0, 2.0, 3.0)


def test_a_picture_is_one_frame(films, folder):
    clip = read_clip(folder / "7.png", EIGHT)
    assert numbers(films, clip) == [7]
    assert clip.times == (0.0,)
    assert count_frames(folder / "7.png", EIGHT) == 1


def test_backwards(films, film):
    clip = read_clip(film, FrameSampling(frames=3)).reversed()
    assert numbers(films, clip) == [74, 37, 0]
    assert clip.times == pytest.approx([0, 37 / 25, 74 / 25])
    again = clip.reversed()
    assert numbers(films, again) == [0, 37, 74]


def test_what_is_missing(tmp_path):
    with pytest.raises(GraftworkError, match=r"gone.mp4: no such file"):
        read_clip(tmp_path / "gone.mp4", EIGHT)
    with pytest.raises(GraftworkError, match=r"gone.mp4: no such file"):
        clip_key(tmp_path / "gone.mp4", EIGHT)


@pytest.mark.parametrize("name", ["a" * 300 + ".mp4", "a\0b.mp4", "a" * 300 + ".png"])
def test_what_no_path_can_be(tmp_path, name):
    for call in (read_clip, clip_key):
        with pytest.raises(GraftworkError, match=r"cannot be read \(.+\); mend it"):
            call(tmp_path / name, EIGHT)


def test_a_key_is_of_contents_and_sampling(film, tmp_path):
    key = clip_key(film, EIGHT)
    assert len(key) == 64
    copy = shutil.copy(film, tmp_path / "other.mp4")
    assert clip_key(tmp_path / "other.mp4", FrameSampling(frames=8)) == key
    assert clip_key(film, FrameSampling(frames=9)) != key
    assert clip_key(film, FrameSampling(fps=8.0)) != key
    data = bytearray(film.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    assert clip_key(copy, EIGHT) != key


def test_a_key_of_a_folder_is_of_its_pictures(folder):
    key = clip_key(folder, EIGHT)
    (folder / "notes.txt").write_text("no picture")
    assert clip_key(folder, EIGHT) == key
    assert clip_key(folder, FrameSampling(picture_rate=2.0)) != key
    shutil.move(folder / "3.png", folder / "30.png")
    assert clip_key(folder, EIGHT) != key
    shutil.move(folder / "30.png", folder / "3.png")
    assert clip_key(folder, EIGHT) == key
    Image.fromarray(np.zeros((64, 96, 3), dtype=np.uint8)).save(folder / "3.png")
    assert clip_key(folder, EIGHT) != key
