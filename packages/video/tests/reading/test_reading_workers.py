"""Many clips, decoded ahead by workers."""

import importlib
import shutil
import tempfile
import time
from itertools import chain, repeat
from pathlib import Path

import pytest

from graftwork.core import GraftworkError
from graftwork.video.clip import Clip
from graftwork.video.reading import workers
from graftwork.video.reading.clip import read_clip
from graftwork.video.reading.sampling import FrameSampling
from graftwork.video.reading.workers import ClipReader

THREE = FrameSampling(frames=3)


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files of our own, which is empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


@pytest.fixture
def odd(monkeypatch):
    """Have workers run one of the odd functions."""
    monkeypatch.syspath_prepend(Path(__file__).with_name("in_workers"))
    module = importlib.import_module("odd_decoding")

    def use(name):
        monkeypatch.setattr(workers, "decode_to_file", getattr(module, name))

    return use


@pytest.fixture(scope="module")
def film(films, tmp_path_factory):
    return films.write(tmp_path_factory.mktemp("workers") / "film.mp4", count=24)


def copies(film, folder, *names):
    return [shutil.copy(film, folder / name) for name in names]


@pytest.mark.parametrize("count", [0, 2])
def test_clips_in_order_and_errors_in_place(films, film, tmp_path, count):
    paths = []
    for number in range(5):
        path = films.write(tmp_path / f"{number}.mp4", count=24 + 24 * (number == 0), gop=6)
        paths.append(path)
    paths[2].write_text("no film")
    paths.append(tmp_path / "gone.mp4")
    results = list(ClipReader(THREE, workers=count).read(paths))
    assert [type(each) for each in results] == [
        Clip, Clip, GraftworkError, Clip, Clip, GraftworkError
    ]  # fmt: skip
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, Clip):
            whole = read_clip(path, THREE)
            assert (result.name, result.times) == (whole.name, whole.times)
            assert result.frames.equal(whole.frames)
        else:
            assert str(result).startswith(f"{path}: ")
            assert "\n" not in str(result)


def test_a_clip_may_be_written_to(film):
    first, second = ClipReader(THREE, workers=1).read([film, film])
    first.frames.zero_()
    assert second.frames.equal(read_clip(film, THREE).frames)


def test_workers_do_without_torch(odd, film, tmp_path):
    odd("loaded")
    (path,) = copies(film, tmp_path, "film.mp4")
    (clip,) = ClipReader(THREE, workers=1).read([path])
    assert isinstance(clip, Clip)
    modules = (tmp_path / "modules.txt").read_text().split()
    assert "av" in modules
    assert "torch" not in modules


def test_what_hangs_or_crashes_costs_itself_only(odd, film, tmp_path):
    odd("decode")
    names = ["a.mp4", "hangs.mp4", "b.mp4", "crashes.mp4", "c.mp4", "crashes-again.mp4", "d.mp4"]
    paths = copies(film, tmp_path, *names)
    results = list(ClipReader(THREE, workers=2, seconds=5.0).read(paths))
    assert [isinstance(each, Clip) for each in results] == [True, False] * 3 + [True]
    assert str(results[1]) == (
        f"{paths[1]}: not decoded after 5 seconds; re-encode it or leave it out"
    )
    assert str(results[3]) == (
        f"{paths[3]}: the worker that decoded it died (exit status -11); re-encode it or leave it "
        "out"
    )
    for result in results[::2]:
        assert result.frames.equal(read_clip(paths[0], THREE).frames)


def test_no_room_ends_it_all(odd, film, tmp_path, temporary):
    odd("decode")
    paths = copies(film, tmp_path, "a.mp4", "full.mp4")
    results = ClipReader(THREE, workers=1).read(paths)
    assert isinstance(next(results), Clip)
    with pytest.raises(GraftworkError, match=r"no room for a decoded clip .* TMPDIR") as caught:
        next(results)
    assert str(caught.value).startswith(str(temporary))


def test_only_a_few_are_decoded_ahead(odd, film, tmp_path):
    odd("decode")
    (path,) = copies(film, tmp_path, "film.mp4")
    taken = []
    endless = (taken.append(0) or path for _ in repeat(None))
    reader = ClipReader(THREE, workers=1)
    assert reader.ahead == 2
    results = reader.read(endless)
    for _ in range(4):
        next(results)
    # Time enough for whatever else would be decoded.
    deadline = time.monotonic() + 5
    begun = tmp_path / "begun.txt"
    while len(begun.read_text().splitlines()) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    assert len(begun.read_text().splitlines()) <= len(taken) == 3 + reader.ahead
    results.close()


def test_an_abandoned_iteration_leaves_nothing(film, temporary):
    results = ClipReader(THREE, workers=2).read(chain([film] * 20))
    kept = next(results)
    assert list(temporary.iterdir())
    del results
    assert not list(temporary.iterdir())
    assert kept.frames.equal(read_clip(film, THREE).frames)  # its pages outlive its file


def test_an_error_in_the_callers_list_leaves_nothing(film, temporary):
    def paths():
        yield film
        yield film
        raise KeyError("list")

    with pytest.raises(KeyError):
        list(ClipReader(THREE, workers=1).read(paths()))
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("more", [{"workers": -1}, {"seconds": 0.0}])
def test_no_time_is_no_limit(more):
    with pytest.raises(GraftworkError, match="give 0 workers or more, and more than 0 seconds"):
        ClipReader(THREE, **more)


def test_nothing_to_read():
    assert list(ClipReader(THREE, workers=2).read([])) == []


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists its maps")
def test_decoded_frames_are_mapped_and_not_copied(film):
    (clip,) = ClipReader(THREE, workers=1).read([film])
    place = clip.frames.data_ptr()
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(each, 16) for each in line.split()[0].split("-"))
        if start <= place < end:
            assert line.split()[1] == "rw-p"  # private: copied once written to
            assert line.endswith("0.npy (deleted)")
            return
    pytest.fail("the frames lie nowhere")
