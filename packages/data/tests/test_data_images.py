"""Colour modes, orientation, and every kind of damaged file."""

import numpy as np
import pytest
from PIL import Image

from graftwork.core import GraftworkError
from graftwork.data.images import load_image


def saved(path, array, mode=None, **options):
    image = Image.fromarray(np.asarray(array))
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


def colour(image):
    assert image.mode == "RGB"
    return np.asarray(image)[0, 0].tolist()


def solid(*channels, size=(4, 6)):
    return np.full((*size, len(channels)), channels, dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_rgb_comes_back_as_it_was(tmp_path, suffix):
    array = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    options = {"lossless": True} if suffix == "webp" else {}
    found = load_image(saved(tmp_path / f"a.{suffix}", array, **options))
    assert found.mode == "RGB"
    assert np.array_equal(np.asarray(found), array)


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_transparency_is_laid_over_white(tmp_path, alpha):
    found = colour(load_image(saved(tmp_path / "a.png", solid(100, 0, 200, alpha))))
    share = alpha / 255
    expected = [share * level + (1 - share) * 255 for level in (100, 0, 200)]
    assert found == pytest.approx(expected, abs=1)


def test_grey_with_alpha(tmp_path):
    assert colour(load_image(saved(tmp_path / "a.png", solid(50, 0)))) == [255, 255, 255]


def test_palette(tmp_path):
    path = saved(tmp_path / "a.png", solid(10, 200, 30), "P")
    assert Image.open(path).mode == "P"
    assert colour(load_image(path)) == pytest.approx([10, 200, 30], abs=30)


def test_palette_with_a_transparent_colour(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.save(tmp_path / "a.png", transparency=1)
    assert colour(load_image(tmp_path / "a.png")) == [255, 255, 255]


def test_black_and_white(tmp_path):
    assert colour(load_image(saved(tmp_path / "a.png", solid(255, 255, 255), "1"))) == [255] * 3


def test_cmyk(tmp_path):
    path = saved(tmp_path / "a.jpg", solid(200, 40, 40), "CMYK", quality=100)
    assert Image.open(path).mode == "CMYK"
    assert colour(load_image(path)) == pytest.approx([200, 40, 40], abs=6)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(("deep", "level"), [(0, 0), (32896, 128), (65535, 255)])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path, suffix, deep, level):
    path = saved(tmp_path / f"a.{suffix}", np.full((4, 4), deep, dtype=np.uint16))
    assert colour(load_image(path)) == [level] * 3


def test_exif_orientation_is_applied(tmp_path):
    array = solid(0, 0, 255)  # 4 high, 6 wide
    array[0] = (255, 0, 0)  # a red top row
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to view
    found = load_image(saved(tmp_path / "a.png", array, exif=exif))
    assert found.size == (4, 6)
    assert np.asarray(found)[:, -1].tolist() == [[255, 0, 0]] * 6


def refusal(path):
    with pytest.raises(GraftworkError) as caught:
        load_image(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
def test_a_truncated_file(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path / f"a.{suffix}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refusal(path).endswith("; replace or remove the file")


def test_a_flipped_byte_in_a_png(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path / "a.png", noise)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert "damaged image" in refusal(path)


def test_a_text_file_named_like_an_image(tmp_path):
    (tmp_path / "a.png").write_text("hello")
    assert "not an image that can be read" in refusal(tmp_path / "a.png")


def test_an_empty_file(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert "the file is empty" in refusal(tmp_path / "a.jpg")


def test_a_missing_file_and_a_dangling_link(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    assert "no such file" in refusal(tmp_path / "a.png")


@pytest.mark.parametrize("limit", [20, 8])  # Pillow warns up to twice its limit, then refuses
def test_too_many_pixels(tmp_path, monkeypatch, limit):
    path = saved(tmp_path / "a.png", solid(1, 2, 3))  # 24 pixels
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert f"more than {limit} pixels; shrink the image" in refusal(path)


def test_floating_point_pixels(tmp_path):
    path = saved(tmp_path / "a.tif", np.full((4, 4), 0.5, dtype=np.float32))
    assert "save it with 8 or 16 bits" in refusal(path)
