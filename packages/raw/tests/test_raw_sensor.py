"""Sensor files: strict, exact, and honest about what is not calibrated."""

import pytest

from graftwork.core import GraftworkError
from graftwork.raw.noise_model import Noise
from graftwork.raw.sensor import Sensor
from graftwork.raw.sensor_file import load_sensor, parse_sensor, sensor_text, write_sensor

TEXT = 'name = "x"\npattern = "RGGB"\nblack_level = 64\nwhite_level = 1023\nbit_depth = 10\n'


def test_crvd_ships_with_the_published_calibration():
    sensor = load_sensor("crvd")
    assert (sensor.pattern, sensor.black, sensor.white_level) == ("GBRG", (240.0,) * 4, 4095.0)
    assert (sensor.bit_depth, sensor.largest) == (12, 4095)
    assert sensor.isos == (1600, 3200, 6400, 12800, 25600)
    # The published table also gives both in units of the range, 3855 DN.
    shares = {1600: (9.1135e-4, 8.0194e-7), 6400: (3.49833e-3, 8.80279e-6)}
    for iso, (a, b) in shares.items():
        assert sensor.noise(iso).a / 3855 == pytest.approx(a, rel=1e-4)
        assert sensor.noise(iso).b / 3855**2 == pytest.approx(b, rel=1e-4)


def test_a_written_sensor_reads_back_equal(tmp_path):
    sensor = Sensor(
        name='my "cam" ü',
        pattern="BGGR",
        black_level=(60.0, 61.5, 62.0, 63.25),
        white_level=1000.5,
        bit_depth=10,
        calibration=(Noise(iso=100, a=0.1 + 0.2, b=1 / 3, row=0.7), Noise(iso=200, a=1e-9, b=0.0)),
    )
    write_sensor(tmp_path / "cam.toml", sensor)
    assert load_sensor(tmp_path / "cam.toml") == sensor
    assert parse_sensor(sensor_text(load_sensor("crvd")), "x") == load_sensor("crvd")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT + "blak_level = 3", "cam.toml: blak_level: unknown key; did you mean 'black_level'?"),
        (TEXT.replace("RGGB", "RGBG"), "pattern: expected"),
        (TEXT.replace("64", "2000"), "white_level: is not above black_level; exchange them"),
        (TEXT.replace("1023", "4095"), "needs more than 10 bits; mend bit_depth"),
        (TEXT.replace("64", "-1"), "black_level: is below 0"),
        (TEXT.replace("64", "[64, 64]"), "black_level"),
        (TEXT + "[[calibration]]\na = 1.0\nb = 1.0", "one lacks its iso; add iso"),
        (TEXT + "[[calibration]]\niso = 1\na = 1.0\nb = 1.0\n" * 2, "ISO 1 stands there twice"),
        (TEXT + "[[calibration]]\niso = 1\na = -1.0\nb = 1.0", "calibration[0].a"),
        (TEXT + "broken", "cam.toml: is no TOML"),
    ],
)
def test_a_wrong_sensor_file_is_told_in_one_line(tmp_path, text, message):
    (tmp_path / "cam.toml").write_text(text)
    with pytest.raises(GraftworkError) as caught:
        load_sensor(tmp_path / "cam.toml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_sensors(tmp_path):
    with pytest.raises(GraftworkError, match="did you mean 'crvd'"):
        load_sensor("crvdd")
    with pytest.raises(GraftworkError, match="no such sensor file"):
        load_sensor(tmp_path / "none.toml")


def test_an_unknown_iso_lists_the_known_ones():
    with pytest.raises(GraftworkError, match=r"ISO 800 .*known: 1600, 3200, 6400, 12800, 25600"):
        load_sensor("crvd").noise(800)
    with pytest.raises(GraftworkError, match="has no calibration at all"):
        parse_sensor(TEXT, "x").noise(800)


def test_isos_between_are_interpolated_only_when_asked():
    sensor = load_sensor("crvd")
    with pytest.raises(GraftworkError, match="ISO 4525"):
        sensor.noise(4525)
    between = sensor.noise(4525, interpolate=True)
    low, high = sensor.noise(3200), sensor.noise(6400)
    # 4525 is the geometric mean of its neighbours.
    assert between.a == pytest.approx((low.a * high.a) ** 0.5, rel=1e-3)
    assert between.b == pytest.approx((low.b * high.b) ** 0.5, rel=1e-3)
    with pytest.raises(GraftworkError, match="ISO 51200"):
        sensor.noise(51200, interpolate=True)
