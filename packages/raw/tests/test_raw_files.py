"""Raw files: bit for bit there and back, and one clear line for whatever is none."""

import io
import struct

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from graftwork.core import GraftworkError
from graftwork.raw.content import Content
from graftwork.raw.files.folder_clip import FileClip, open_folder
from graftwork.raw.files.frame_file import read_mosaic, read_size
from graftwork.raw.files.previews import preview, write_mp4, write_png
from graftwork.raw.files.sequence import find_frames
from graftwork.raw.files.writing import frame_name, write_clip, write_mosaic
from graftwork.raw.sensor_file import load_sensor

CRVD = load_sensor("crvd")


def raw(seed=0, size=(8, 12)):
    chance = np.random.default_rng(seed)
    return chance.integers(0, 4096, size, dtype=np.uint16)


def tiff(path, pixels=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = raw() if pixels is None else pixels
    tifffile.imwrite(path, pixels, photometric="minisblack", **options)
    return path


def folder(path, numbers, size=(8, 12)):
    for number in numbers:
        tiff(path / f"clip7_frame{number}.tiff", raw(number, size))
    return path


def refusal(path, sensor=CRVD):
    with pytest.raises(GraftworkError) as caught:
        read_mosaic(path, sensor)
    told = str(caught.value)
    assert told.startswith(str(path))
    assert "\n" not in told
    assert "; " in told or ": " in told.removeprefix(str(path) + ": ")
    return told


@pytest.mark.parametrize("name", ["a.tiff", "a.TIF", "a.png"])
def test_every_level_is_read_as_it_is(tmp_path, name):
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    if name.endswith("png"):
        Image.fromarray(pixels).save(tmp_path / name)
    else:
        tiff(tmp_path / name, pixels)
    found = read_mosaic(tmp_path / name, CRVD)
    assert found.dtype == torch.float32
    assert np.array_equal(found.numpy(), pixels)
    assert read_size(tmp_path / name) == (64, 64)


def test_written_frames_are_the_read_ones_bit_for_bit(tmp_path):
    clip = open_folder(folder(tmp_path / "in", range(3)), CRVD, content=Content.CAPTURED)
    written = write_clip(tmp_path / "out", iter(clip), CRVD)
    assert [path.name for path in written] == [frame_name(number) for number in (1, 2, 3)]
    sensor = load_sensor(tmp_path / "out" / "sensor.toml")
    assert sensor == CRVD
    again = open_folder(tmp_path / "out", sensor, content=Content.CAPTURED)
    for index in range(3):
        assert torch.equal(again.frame(index), clip.frame(index))
        assert tifffile.imread(written[index]).dtype == np.uint16
    # Equal frames are equal files.
    first = written[0].read_bytes()
    write_mosaic(written[0], clip.frame(0), CRVD)
    assert written[0].read_bytes() == first


def test_what_is_written_is_rounded_as_asked_and_clipped(tmp_path):
    mosaic = torch.tensor([[300.6, -5.0], [5000.0, 299.4]])
    for rounding, expected in (("nearest", [301, 0, 4095, 299]), ("truncate", [300, 0, 4095, 299])):
        write_mosaic(tmp_path / "a.tiff", mosaic, CRVD, rounding=rounding)
        assert tifffile.imread(tmp_path / "a.tiff").flatten().tolist() == expected


def test_no_number_is_no_frame(tmp_path):
    with pytest.raises(GraftworkError, match=r"a\.tiff: the frame holds values"):
        write_mosaic(tmp_path / "a.tiff", torch.tensor([[float("nan"), 1.0]] * 2), CRVD)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_writing_leaves_whole_frames(tmp_path):
    def frames():
        yield torch.full((4, 4), 500.0)
        yield torch.full((4, 4), 600.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_clip(tmp_path / "out", frames(), CRVD)
    clip = open_folder(tmp_path / "out", CRVD, content=Content.CAPTURED)
    assert [float(frame[0, 0]) for frame in clip] == [500.0, 600.0]


def test_8_bits_are_no_raw(tmp_path):
    eight = (raw() // 16).astype(np.uint8)
    assert "has 8-bit whole-number pixels" in refusal(tiff(tmp_path / "a.tiff", eight))
    Image.fromarray(eight).save(tmp_path / "a.png")
    assert "has 8-bit whole-number pixels" in refusal(tmp_path / "a.png")


def test_floats_are_no_raw(tmp_path):
    path = tiff(tmp_path / "a.tiff", raw().astype(np.float32))
    assert "has 32-bit floating-point pixels" in refusal(path)


@pytest.mark.parametrize("name", ["a.tiff", "a.png"])
def test_three_channels_are_a_finished_picture(tmp_path, name):
    Image.fromarray(np.zeros((8, 12, 3), dtype=np.uint8)).save(tmp_path / name)
    assert "has 3 channels, a finished picture such as sRGB" in refusal(tmp_path / name)


@pytest.mark.parametrize("size", [(7, 12), (8, 11)])
def test_odd_sizes_are_no_mosaic(tmp_path, size):
    told = refusal(tiff(tmp_path / "a.tiff", raw(size=size)))
    assert f"is {size[0]} rows by {size[1]} columns" in told


def test_values_outside_the_range_name_the_sensor(tmp_path):
    told = refusal(tiff(tmp_path / "a.tiff", raw() * 16))
    assert "sensor crvd has 12 bits (at most 4095)" in told


def test_black_subtracted_already_is_noticed(tmp_path):
    told = refusal(tiff(tmp_path / "a.tiff", (raw() // 40).astype(np.uint16)))
    assert "below the black level 240" in told


def test_dark_frames_are_none_of_that(tmp_path):
    chance = np.random.default_rng(0)
    dark = np.clip(chance.normal(240, 43, (64, 64)), 0, None).astype(np.uint16)
    read_mosaic(tiff(tmp_path / "a.tiff", dark), CRVD)


@pytest.mark.parametrize("kept", [0, 4, 60, 0.5, -2])
def test_truncated_tiff(tmp_path, kept):
    whole = tiff(tmp_path / "whole.tiff", raw(size=(64, 64))).read_bytes()
    length = int(kept * len(whole)) if isinstance(kept, float) else kept
    (tmp_path / "a.tiff").write_bytes(whole[:length])
    told = refusal(tmp_path / "a.tiff")
    assert "cut short" in told


def test_truncated_png_and_other_rubbish(tmp_path):
    data = io.BytesIO()
    Image.fromarray(raw(size=(64, 64))).save(data, format="png")
    (tmp_path / "a.png").write_bytes(data.getvalue()[:-900])
    assert "damaged or cut short" in refusal(tmp_path / "a.png")
    (tmp_path / "b.tiff").write_text("no image")
    assert "damaged or cut short" in refusal(tmp_path / "b.tiff")
    assert "no such file" in refusal(tmp_path / "none.tiff")
    (tmp_path / "a.jpg").write_text("")
    assert "is no raw frame" in refusal(tmp_path / "a.jpg")


def test_a_stack_of_pages_is_refused(tmp_path):
    path = tiff(tmp_path / "a.tiff", np.stack([raw(), raw()]))
    assert "holds 2 pages" in refusal(path)


def coloured(pattern, side=64):
    """A red-free, blue-rich scene with bright greens, and noise."""
    chance = np.random.default_rng(0)
    levels = {"R": 1000, "G": 2500, "B": 1200}
    cell = np.array([levels[letter] for letter in pattern]).reshape(2, 2)
    mosaic = np.tile(cell, (side // 2, side // 2)) + chance.normal(0, 40, (side, side))
    return mosaic.astype(np.uint16)


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR"])
def test_a_wrong_pattern_is_noticed(tmp_path, pattern):
    path = tiff(tmp_path / "a.tiff", coloured(pattern))
    with pytest.raises(GraftworkError, match="do not fit the pattern GBRG of sensor crvd"):
        FileClip([path], CRVD, content=Content.CAPTURED, name="clip")


@pytest.mark.parametrize("pattern", ["GBRG", "GRBG"])
def test_the_right_pattern_passes(tmp_path, pattern):
    # Red taken for blue cannot be told from the pixels.
    path = tiff(tmp_path / "a.tiff", coloured(pattern))
    FileClip([path], CRVD, content=Content.CAPTURED, name="clip")


def test_frames_come_by_their_numbers(tmp_path):
    found = find_frames(folder(tmp_path, [9, 10, 11, 8]))
    assert [path.stem for path in found] == [f"clip7_frame{number}" for number in (8, 9, 10, 11)]


def test_other_files_beside_frames_do_not_matter(tmp_path):
    folder(tmp_path, [0, 1])
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden.tiff").write_text("")
    assert len(find_frames(tmp_path)) == 2


def test_a_missing_frame_is_named(tmp_path):
    with pytest.raises(GraftworkError, match="frame 3 is missing, between clip7_frame2"):
        find_frames(folder(tmp_path, [1, 2, 4]))


def test_two_frames_of_one_number(tmp_path):
    folder(tmp_path, [1])
    tiff(tmp_path / "frame01.tiff")
    with pytest.raises(GraftworkError, match="have the same number"):
        find_frames(tmp_path)


def test_folders_that_hold_no_clip(tmp_path):
    with pytest.raises(GraftworkError, match="holds no raw frames"):
        find_frames(tmp_path)
    with pytest.raises(GraftworkError, match="no such folder"):
        find_frames(tmp_path / "none")
    path = tiff(tmp_path / "one.tiff")
    assert find_frames(tmp_path) == (path,)  # a single frame needs no number
    with pytest.raises(GraftworkError, match="is a file"):
        find_frames(path)
    tiff(tmp_path / "two.tiff")
    with pytest.raises(GraftworkError, match="has no number in its name"):
        find_frames(tmp_path)


def test_frames_of_different_sizes(tmp_path):
    folder(tmp_path, [1, 2])
    tiff(tmp_path / "frame3.tiff", raw(size=(8, 10)))
    with pytest.raises(GraftworkError, match=r"frame3\.tiff: is 8x10, and .* is 8x12"):
        open_folder(tmp_path, CRVD, content=Content.CAPTURED)


def test_a_clip_on_disk_is_read_lazily_and_knows_what_it_is(tmp_path):
    clip = open_folder(folder(tmp_path, range(4)), CRVD, content=Content.CAPTURED, iso=3200)
    assert (len(clip), clip.size, clip.iso) == (4, (8, 12), 3200)
    assert clip.content.noisy
    for path in clip.paths[1:]:
        path.unlink()
    clip.frame(0)
    with pytest.raises(GraftworkError, match="no such file"):
        clip.frame(1)
    with pytest.raises(GraftworkError, match="has 4 frames, and 5 are asked for"):
        clip.frames(0, 5)


def test_png_previews(tmp_path):
    mosaic = torch.full((8, 12), 4095.0)
    write_png(tmp_path / "a.png", mosaic, CRVD)
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[[255] * 3] * 12] * 8
    brighter = preview(torch.full((4, 4), 600.0), CRVD, exposure=3.0)
    assert brighter.sum() > preview(torch.full((4, 4), 600.0), CRVD).sum()


def test_mp4_previews(tmp_path):
    av = pytest.importorskip("av")
    levels = (400.0, 1000.0, 3000.0)
    frames = [torch.full((32, 48), level) for level in levels]
    write_mp4(tmp_path / "out" / "a.mp4", iter(frames), CRVD, frames_per_second=10)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.mp4"]
    with av.open(str(tmp_path / "out" / "a.mp4")) as film:
        found = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(found) == 3
    for one, frame in zip(found, frames, strict=True):
        expected = preview(frame, CRVD).numpy().mean(axis=(0, 1))
        assert one.mean(axis=(0, 1)) == pytest.approx(expected, abs=6)


def test_a_film_needs_frames_and_the_library(tmp_path, monkeypatch):
    pytest.importorskip("av")
    with pytest.raises(GraftworkError, match="a film of no frames"):
        write_mp4(tmp_path / "a.mp4", [], CRVD)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(GraftworkError, match=r"pip install .*graftwork-raw\[film\]"):
        write_mp4(tmp_path / "a.mp4", [torch.full((4, 4), 600.0)], CRVD)


def dng(path, pixels, *, pattern="GRBG", black=64, white=1023):
    """A minimal DNG: a TIFF with the tags that say so."""
    colours = bytes("RGB".index(letter) for letter in pattern)
    matrix = [10000, 10000, 0, 10000, 0, 10000, 0, 10000, 10000, 10000, 0, 10000]
    matrix += [0, 10000, 0, 10000, 10000, 10000]
    tags = [
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),
        (50707, "B", 4, bytes([1, 1, 0, 0]), True),
        (50708, "s", 0, "graftwork test", True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, colours, True),
        (50714, "H", 1, black, True),
        (50717, "I", 1, white, True),
        (50721, "2i", 9, matrix, True),
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),
        (50778, "H", 1, 21, True),
    ]
    tifffile.imwrite(path, pixels, photometric=32803, extratags=tags, metadata=None)
    return path


def test_dng_frames_and_their_sensor(tmp_path):
    pytest.importorskip("rawpy")
    from graftwork.raw.files.dng import dng_sensor

    pixels = np.random.default_rng(0).integers(64, 1024, (64, 96), dtype=np.uint16)
    path = dng(tmp_path / "shot.dng", pixels)
    sensor = dng_sensor(path)
    assert (sensor.pattern, sensor.black, sensor.white_level) == ("GRBG", (64.0,) * 4, 1023.0)
    assert sensor.bit_depth == 10
    assert read_size(path) == (64, 96)
    assert np.array_equal(read_mosaic(path, sensor).numpy(), pixels)


def test_dng_without_the_library_or_the_file(tmp_path, monkeypatch):
    pytest.importorskip("rawpy")
    assert "no such file" in refusal(tmp_path / "none.dng")
    (tmp_path / "a.dng").write_bytes(struct.pack("<2sHI", b"II", 42, 8))
    assert "damaged or cut short" in refusal(tmp_path / "a.dng")
    monkeypatch.setitem(__import__("sys").modules, "rawpy", None)
    assert "pip install 'graftwork-raw[dng]'" in refusal(tmp_path / "a.dng")
