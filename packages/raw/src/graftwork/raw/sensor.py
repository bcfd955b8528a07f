"""A sensor: colour filters, levels and noise, as one small TOML file.

name = "crvd"
pattern = "GBRG"
black_level = 240.0        # or four numbers, for R, G of the red row, B, G of the blue row
white_level = 4095.0
bit_depth = 12

[[calibration]]
iso = 1600
a = 3.513262               # DN
b = 11.917691              # DN²
"""

from typing import Annotated

from graftwork.core.config import Ge, Le, config
from graftwork.core.errors import GraftworkError
from graftwork.raw.cfa import Pattern
from graftwork.raw.interpolating import between
from graftwork.raw.noise_model import Noise


@config
class Sensor:
    """How to read a sensor's numbers."""

    name: str
    """What errors and file names call it."""

    pattern: Pattern
    """Colours of the upper left 2×2 pixels."""

    black_level: float | tuple[float, float, float, float]
    """DN without light; one number, or one for each of R, G (red row), B, G (blue row)."""

    white_level: float
    """DN at which a pixel is full."""

    bit_depth: Annotated[int, Ge(9), Le(16)]
    """Bits of a pixel; a file that holds more was made by another sensor."""

    calibration: tuple[Noise, ...] = ()
    """The noise at each calibrated ISO."""

    def __post_init__(self) -> None:
        if min(self.black) < 0:
            raise ValueError("black_level: is below 0; write DN as the files hold them")
        if max(self.black) >= self.white_level:
            raise ValueError("white_level: is not above black_level; exchange them")
        if self.white_level > self.largest:
            raise ValueError(
                f"white_level: {self.white_level:g} needs more than {self.bit_depth} bits; "
                "mend bit_depth"
            )
        _check_isos([each.iso for each in self.calibration])

    @property
    def black(self) -> tuple[float, float, float, float]:
        """Black level of R, G (red row), B, G (blue row)."""
        level = self.black_level
        return level if isinstance(level, tuple) else (level, level, level, level)

    @property
    def largest(self) -> int:
        """The largest DN that its bits can hold."""
        return int(2**self.bit_depth) - 1

    @property
    def isos(self) -> tuple[int, ...]:
        """The calibrated ISOs, ascending."""
        return tuple(sorted(each.iso for each in self.calibration if each.iso is not None))

    def noise(self, iso: int, *, interpolate: bool = False) -> Noise:
        """The noise at an ISO; between two calibrated ones only if `interpolate` asks for it.

        Raises:
            GraftworkError: that ISO is not calibrated; the error lists those that are.
        """
        for each in self.calibration:
            if each.iso == iso:
                return each
        if interpolate and self.isos and self.isos[0] < iso < self.isos[-1]:
            return between(self.calibration, iso)
        raise GraftworkError(f"sensor {self.name}: ISO {iso} is not calibrated; {self._remedy()}")

    def _remedy(self) -> str:
        if not self.calibration:
            return "it has no calibration at all; add [[calibration]] or estimate from a clip"
        known = ", ".join(map(str, self.isos))
        return f"known: {known}; choose one, or estimate the noise from the clip"


def _check_isos(isos: list[int | None]) -> None:
    if None in isos:
        raise ValueError("calibration: one lacks its iso; add iso = ...")
    twice = sorted({iso for iso in isos if iso is not None and isos.count(iso) > 1})
    if twice:
        raise ValueError(f"calibration: ISO {twice[0]} stands there twice; remove one")
