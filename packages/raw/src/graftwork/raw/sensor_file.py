"""Sensors on disk: strict reading, exact writing, and those that ship."""

import json
import os
import tomllib
from importlib import resources
from pathlib import Path

from graftwork.core import atomic
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError, one_line
from graftwork.core.nearest import did_you_mean
from graftwork.raw.noise_model import Noise
from graftwork.raw.sensor import Sensor

_SHIPPED = "graftwork.raw"


def load_sensor(source: str | os.PathLike[str]) -> Sensor:
    """The sensor of a shipped name, such as ``"crvd"``, or of a TOML file.

    What ends in .toml, or holds a folder, is a path; the rest is a name.

    Raises:
        GraftworkError: no such name or file, no TOML, an unknown key, or a wrong value.
    """
    path = Path(source)
    if path.suffix.lower() == ".toml" or len(path.parts) > 1:
        return parse_sensor(_read(path.expanduser()), str(path))
    if str(source) not in shipped_sensors():
        remedy = did_you_mean(str(source), shipped_sensors())
        raise GraftworkError(
            f"sensor {str(source)!r}: no sensor of that name{remedy} "
            "(a file of your own must end in .toml)"
        )
    file = resources.files(_SHIPPED) / "sensors" / f"{source}.toml"
    return parse_sensor(file.read_text("utf-8"), f"{source}.toml")


def shipped_sensors() -> tuple[str, ...]:
    """Names of the sensors that come with this package."""
    folder = resources.files(_SHIPPED) / "sensors"
    names = (file.name for file in folder.iterdir())
    return tuple(sorted(name[: -len(".toml")] for name in names if name.endswith(".toml")))


def parse_sensor(text: str, where: str) -> Sensor:
    """The sensor that a TOML text describes; `where` begins the error.

    Raises:
        GraftworkError: no TOML, an unknown key, or a wrong value.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise GraftworkError(f"{where}: is no TOML ({error}); mend that line") from error
    return parse(Sensor, table, where)


def write_sensor(path: str | os.PathLike[str], sensor: Sensor) -> None:
    """Write a sensor file that reads back equal, atomically."""
    atomic.write_text(path, sensor_text(sensor))


def sensor_text(sensor: Sensor) -> str:
    """The sensor as TOML."""
    black = sensor.black_level
    lines = [
        f"name = {json.dumps(sensor.name, ensure_ascii=False)}",
        f'pattern = "{sensor.pattern}"',
        f"black_level = {list(black) if isinstance(black, tuple) else black}",
        f"white_level = {sensor.white_level}",
        f"bit_depth = {sensor.bit_depth}",
    ]
    return "\n".join([*lines, *map(_table, sensor.calibration), ""])


def _table(noise: Noise) -> str:
    row = f"\nrow = {noise.row}" if noise.row else ""
    return f"\n[[calibration]]\niso = {noise.iso}\na = {noise.a}\nb = {noise.b}{row}"


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise GraftworkError(f"{path}: no such sensor file; check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise GraftworkError(f"{path}: cannot be read ({one_line(error)}); mend it") from error
