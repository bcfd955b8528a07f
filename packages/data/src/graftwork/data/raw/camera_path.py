"""How a hand-held camera moves: slowly changing speed, turn and zoom.

A path gives each frame a similarity transform from its pixels to the photograph's,

    source = centre + shift + zoom · R(angle) · (pixel − middle),

with steps of 1 to 4 pixels, ±0.15° and ±0.15 % a frame, direction drifting smoothly.
"""

import math
import random
from dataclasses import dataclass
from typing import Annotated

from graftwork.core.config import Gt, Le, config


@dataclass(frozen=True)
class Pose:
    """Where the camera looks in one frame, against the first."""

    down: float
    """Pixels that the middle has moved down."""
    right: float
    """Pixels that the middle has moved right."""
    angle: float
    """Radians turned."""
    zoom: float
    """Source pixels for one pixel of the frame."""


@config
class Motion:
    """Bounds of the movement from frame to frame."""

    slowest: Annotated[float, Gt(0)] = 1.0
    """Pixels a frame."""

    fastest: Annotated[float, Gt(0), Le(16)] = 4.0
    """Pixels a frame."""

    turn: float = 0.15
    """Degrees a frame, either way."""

    zoom: float = 0.15
    """Per cent a frame, in or out."""

    def __post_init__(self) -> None:
        if self.fastest < self.slowest:
            raise ValueError("fastest: is below slowest; exchange them")


def camera_path(length: int, *, seed: int, motion: Motion | None = None) -> tuple[Pose, ...]:
    """The poses of `length` frames; the same seed gives the same path, its beginning likewise."""
    motion = motion or Motion()
    chance = random.Random(seed)
    heading = chance.uniform(0, 2 * math.pi)
    speed, bend, turn, zoom = (_Wave(chance) for _ in range(4))
    poses = [Pose(0.0, 0.0, 0.0, 1.0)]
    for index in range(1, length):
        last = poses[-1]
        direction = heading + 0.5 * bend.at(index)
        step = motion.slowest + (motion.fastest - motion.slowest) * (speed.at(index) + 1) / 2
        poses.append(
            Pose(
                down=last.down + step * math.sin(direction),
                right=last.right + step * math.cos(direction),
                angle=last.angle + math.radians(motion.turn) * turn.at(index),
                zoom=last.zoom * (1 + motion.zoom / 100 * zoom.at(index)),
            )
        )
    return tuple(poses[:length])


class _Wave:
    """A slow sine in [−1, 1] with a chance period and phase."""

    def __init__(self, chance: random.Random) -> None:
        self.period = chance.uniform(12, 40)  # frames: half a second to two
        self.phase = chance.uniform(0, 2 * math.pi)

    def at(self, index: int) -> float:
        return math.sin(2 * math.pi * index / self.period + self.phase)
