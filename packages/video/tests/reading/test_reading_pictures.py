"""Folders of frames, and single pictures."""

import numpy as np
import pytest
from PIL import Image

from graftwork.core import GraftworkError
from graftwork.video.reading.folder import Pictures, find_pictures
from graftwork.video.reading.image import picture_size, read_picture


def save(path, picture, **more):
    Image.fromarray(picture).save(path, **more)
    return path


@pytest.fixture
def folder(films, tmp_path):
    """Twelve frames, numbered without leading zeros, among other things."""
    for number in range(12):
        save(tmp_path / f"shot1-frame{number}.png", films.numbered(number))
    (tmp_path / "notes.txt").write_text("what was seen")
    (tmp_path / ".hidden.png").write_text("nothing")
    (tmp_path / "more.png").mkdir()
    return tmp_path


def test_frames_by_number(films, folder):
    paths = find_pictures(folder)
    assert [path.name for path in paths] == [f"shot1-frame{number}.png" for number in range(12)]
    clip = Pictures(paths, rate=2.0)
    out = np.empty((4, 3, *clip.size), dtype=np.uint8)
    clip.read([0, 2, 2, 11], out)
    assert [films.number_of(frame) for frame in out] == [0, 2, 2, 11]
    assert np.array_equal(out[3], films.numbered(11).transpose(2, 0, 1))
    assert clip.times.tolist() == [number / 2 for number in range(12)]


def test_a_frame_of_another_size(films, folder):
    save(folder / "shot1-frame5.png", films.numbered(5, (32, 96)))
    clip = Pictures(find_pictures(folder))
    out = np.empty((2, 3, *clip.size), dtype=np.uint8)
    with pytest.raises(
        GraftworkError, match=r"frame5.png: is 32x96, and shot1-frame0.png is 64x96"
    ):
        clip.read([4, 5], out)


def test_a_bad_picture_is_named(folder):
    path = folder / "shot1-frame3.png"
    path.write_bytes(path.read_bytes()[:110])
    clip = Pictures(find_pictures(folder))
    with pytest.raises(GraftworkError, match=r"frame3.png: a damaged picture \(.*\); replace"):
        clip.read([3], np.empty((1, 3, *clip.size), dtype=np.uint8))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.mkdir(), "holds no pictures"),
        (lambda path: path.touch(), "is a file"),
    ],
)
def test_bad_folders(tmp_path, make, complaint):
    make(tmp_path / "clip")
    with pytest.raises(GraftworkError, match=f"clip: {complaint}"):
        find_pictures(tmp_path / "clip")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(films, tmp_path, orientation):
    upright = films.numbered(5)
    undo = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "photo.png", np.ascontiguousarray(undo[orientation]), exif=exif)
    assert picture_size(path) == (64, 96)
    assert np.array_equal(read_picture(path), upright)


def test_modes_become_rgb(tmp_path):
    save(tmp_path / "grey.png", np.full((4, 6), 77, dtype=np.uint8))
    assert (read_picture(tmp_path / "grey.png") == 77).all()
    save(tmp_path / "deep.png", np.full((4, 6), 257 * 77, dtype=np.uint16))
    assert (read_picture(tmp_path / "deep.png") == 77).all()
    clear = np.zeros((4, 6, 4), dtype=np.uint8)
    save(tmp_path / "clear.png", clear)
    assert (read_picture(tmp_path / "clear.png") == 255).all()


@pytest.mark.parametrize("data", [b"", b"no picture at all"])
def test_no_pictures(tmp_path, data):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    for call in (read_picture, picture_size):
        with pytest.raises(GraftworkError, match=r"photo.jpg: (the file is empty|is no picture)"):
            call(path)
    with pytest.raises(GraftworkError, match=r"gone.jpg: no such file"):
        read_picture(tmp_path / "gone.jpg")
