"""What the network is given in place of a frame, and back: three ways to deal with noise levels."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.backbones.rvideformer.settings import RViDeformerSettings
from graftwork.raw.matching import match_noise
from graftwork.raw.noise_model import Noise
from graftwork.raw.sensor import Sensor
from graftwork.raw.sensor_file import load_sensor
from graftwork.raw.stabilising import destabilise, stabilise

Planes = Float[Tensor, "*lead 4 height width"]

_STABILISED = 16.0
"""Brings stabilised values near 0..4; their noise then has a deviation of 1/16."""


class Sensing(ABC):
    """From planes with black at 0 and white at 1 to the network's input, and back."""

    @abstractmethod
    def enter(self, planes: Planes, noise: Noise, sensor: Sensor) -> Planes:
        """What the network is given."""

    @abstractmethod
    def leave(self, planes: Planes, noise: Noise, sensor: Sensor) -> Planes:
        """What its answer means."""


class Blind(Sensing):
    """The frames, negatives clamped to black, as RViDeformer was published (arXiv:2305.00767)."""

    def enter(self, planes: Planes, noise: Noise, sensor: Sensor) -> Planes:
        """Clamped at black."""
        return planes.clamp(min=0)

    def leave(self, planes: Planes, noise: Noise, sensor: Sensor) -> Planes:
        """The answer as it is."""
        return planes


class Stabilised(Sensing):
    """After the generalised Anscombe transform of the clip's own noise, divided by 16. Ours."""

    def enter(self, planes: Planes, noise: Noise, sensor: Sensor) -> Planes:
        """Noise of deviation 1/16 everywhere, at every ISO."""
        return stabilise(planes * _span(planes, sensor), noise) / _STABILISED

    def leave(self, planes: Planes, noise: Noise, sensor: Sensor) -> Planes:
        """The inverse transform; the algebraic one, for the network learns f(truth) itself."""
        dn = destabilise(planes * _STABILISED, noise, inverse="algebraic")
        return dn / _span(planes, sensor)


class Matched(Sensing):
    """Moved along the line after which the noise is that of a reference; training-free.

    The reference is a noise that a blind network knows (`graftwork.raw.matching`).
    """

    def __init__(self, reference: Noise, sensor: Sensor) -> None:
        self.reference, self.sensor = reference, sensor

    def enter(self, planes: Planes, noise: Noise, sensor: Sensor) -> Planes:
        """With the noise of the reference, black at 0 and the reference's white at 1."""
        line = match_noise(noise, self.reference)
        moved = line.apply(planes * _span(planes, sensor)) / _span(planes, self.sensor)
        return moved.clamp(min=0)

    def leave(self, planes: Planes, noise: Noise, sensor: Sensor) -> Planes:
        """Back along the line."""
        line = match_noise(noise, self.reference)
        return line.undo(planes * _span(planes, self.sensor)) / _span(planes, sensor)


def sensing(settings: RViDeformerSettings) -> Sensing:
    """The way that settings ask for.

    Raises:
        GraftworkError: the reference sensor or its ISO is unknown.
    """
    if settings.input == "blind":
        return Blind()
    if settings.input == "stabilised":
        return Stabilised()
    sensor = load_sensor(settings.reference or "crvd")
    return Matched(sensor.noise(settings.reference_iso or 6400), sensor)


def _span(like: Tensor, sensor: Sensor) -> Float[Tensor, "4 1 1"]:
    """DN between black and white of each plane."""
    black = torch.tensor(sensor.black, dtype=like.dtype, device=like.device)
    return (sensor.white_level - black)[:, None, None]
