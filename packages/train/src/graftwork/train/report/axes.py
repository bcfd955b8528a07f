"""Axes: where a value lies between two ends, and which values deserve a tick."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graftwork.train.report.words import finite

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A linear, logarithmic or named scale from `low` to `high`."""

    low: float
    high: float
    log: bool = False
    names: Sequence[str] = ()
    """Names of the values 0, 1, 2, ... on a scale without numbers."""

    def holds(self, value: float) -> bool:
        """Whether the scale has a place for a value."""
        return finite(value) and (value > 0 or not self.log)

    def share(self, value: float) -> float:
        """The place of a value: 0 at `low`, 1 at `high`."""
        low, high, value = (self._linear(one) for one in (self.low, self.high, value))
        return (value - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Round values between the ends, each with its text."""
        if self.names:
            return [(float(index), name) for index, name in enumerate(self.names)]
        return self._decades() if self.log else self._steps()

    def _linear(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def _steps(self) -> list[tuple[float, str]]:
        step = nice_step((self.high - self.low) / 5)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        digits += abs(step * 10**digits - round(step * 10**digits)) > 1e-6  # 0.25 needs two
        places = digits if digits <= 3 else None
        return [(index * step, short(index * step, places)) for index in range(first, last + 1)]

    def _decades(self) -> list[tuple[float, str]]:
        bottom, top = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        wide = math.log10(self.high / self.low) > 2
        values = [
            m * 10.0**e for e in range(bottom, top + 1) for m in ((1,) if wide else (1, 2, 5))
        ]
        return [(value, short(value)) for value in values if self.low <= value <= self.high]


def axis(values: Iterable[float], *, log: bool = False, pad: float = 0.06) -> Axis:
    """The scale that holds all values, with a share `pad` of its length free at both ends."""
    known = [value for value in values if finite(value) and (value > 0 or not log)]
    low, high = (min(known), max(known)) if known else (1.0, 10.0) if log else (0.0, 1.0)
    if log:
        room = (high / low) ** pad if high > low else 2.0
        return Axis(low=low / room, high=high * room, log=True)
    room = (high - low) * pad if high > low else abs(high) * 0.1 or 1.0
    return Axis(low=low - room, high=high + room)


def named_axis(names: Sequence[str]) -> Axis:
    """A scale of names, in their order."""
    return Axis(low=-0.5, high=len(names) - 0.5, names=names)


def spreads(values: Sequence[float]) -> bool:
    """Whether values are better told apart on a logarithmic scale."""
    return bool(values) and min(values) > 0 and max(values) / min(values) >= 20


def nice_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5, 10, 20, ... that is not below `least`."""
    scale = 10.0 ** math.floor(math.log10(least))
    return next(scale * nice for nice in _NICE if scale * nice >= least * (1 - 1e-9))


def short(value: float, digits: int | None = None) -> str:
    """A tick's text: 20000 is "20k", 0.00001 is "1e-5"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * (10 if letter == "k" else 1):
            return f"{value / size:.3g}{letter}"
    if value and abs(value) < 9e-4 and digits is None:
        return f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-")
    return f"{value:.4g}" if digits is None else f"{value:.{digits}f}"
