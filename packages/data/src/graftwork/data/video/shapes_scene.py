"""Small films of coloured shapes, and what happens in them.

What is drawn is as likely as the same backwards: speeds and places are drawn for the middle of a
film, so nothing but the order of frames tells one direction of time from the other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8
from numpy.random import Generator

COLOURS = {
    "red": (230, 40, 40),
    "green": (40, 190, 70),
    "blue": (50, 80, 235),
    "yellow": (235, 215, 40),
}
SHAPES = ("circle", "square", "triangle")
MOTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
NEW_SHAPE, NEW_MOTION = "star", "round"
"""What no backbone of ours was trained on, kept for studies of adapters."""
BACKWARDS = {"left": "right", "right": "left", "up": "down", "down": "up"}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One film: a shape that moves, or two that flash one after the other.

    Lengths are shares of the picture's side; the origin is its upper left corner.
    """

    kind: Literal["motion", "flash"]
    colours: tuple[str, ...]
    shapes: tuple[str, ...]
    places: tuple[tuple[float, float], ...]
    """Centres in the middle of the film, or where each flashes."""
    motion: str = ""
    """A key of `MOTIONS`, or `NEW_MOTION`; empty for flashes."""
    speed: float = 0.0
    """Way from the first frame to the last."""
    phase: float = 0.0
    """Where a circle is in the middle of the film, in turns; its sense is the sign of `speed`."""
    radius: float = 0.14

    def at(self, time: float) -> list[tuple[str, str, float, float]]:
        """Colour, shape and centre of what is seen at `time`, from 0 to 1."""
        if self.kind == "flash":
            index = 0 if time < 0.5 else 1
            return [(self.colours[index], self.shapes[index], *self.places[index])]
        x, y = self.places[0]
        if self.motion == NEW_MOTION:
            turn = 2 * math.pi * (self.phase + self.speed * (time - 0.5))
            x, y = 0.5 + 0.26 * math.cos(turn), 0.5 + 0.26 * math.sin(turn)
        else:
            step = self.speed * (time - 0.5)
            x, y = (c + step * d for c, d in zip((x, y), MOTIONS[self.motion], strict=True))
        return [(self.colours[0], self.shapes[0], x, y)]


def draw_scene(
    generator: Generator, *, shapes: Sequence[str] = SHAPES, motions: Sequence[str] = tuple(MOTIONS)
) -> Scene:
    """A film drawn at random: as often one that moves as two that flash."""
    colours = tuple(generator.permutation(list(COLOURS))[:2].tolist())
    chosen = tuple(generator.choice(shapes, 2).tolist())
    if generator.random() < 0.5:
        places = tuple(tuple(generator.uniform(0.2, 0.8, 2).tolist()) for _ in range(2))
        return Scene(kind="flash", colours=colours, shapes=chosen, places=places)
    return _moving(generator, colours[0], chosen[0], str(generator.choice(motions)))


def draw_motion(generator: Generator, motion: str) -> Scene:
    """A film of a shape that moves in a given way."""
    colour, shape = str(generator.choice(list(COLOURS))), str(generator.choice(SHAPES))
    return _moving(generator, colour, shape, motion)


def _moving(generator: Generator, colour: str, shape: str, motion: str) -> Scene:
    if motion == NEW_MOTION:
        speed = float(generator.uniform(0.6, 1.0) * generator.choice([-1, 1]))
    else:
        speed = float(generator.uniform(0.35, 0.55))
    place = tuple(generator.uniform(0.35, 0.65, 2).tolist())
    return Scene(
        kind="motion",
        colours=(colour,),
        shapes=(shape,),
        places=(place,),
        motion=motion,
        speed=speed,
        phase=float(generator.random()),
    )


def render(
    scene: Scene, background: UInt8[np.ndarray, "side side 3"], *, frames: int
) -> UInt8[np.ndarray, "frames side side 3"]:
    """The film before a background, without noise."""
    film = np.repeat(background[None], frames, axis=0)
    grid = (np.arange(len(background)) + 0.5) / len(background)
    for index in range(frames):
        time = index / (frames - 1) if frames > 1 else 0.5
        for colour, shape, x, y in scene.at(time):
            alpha = _coverage(shape, grid[None, :] - x, grid[:, None] - y, scene.radius)[..., None]
            blended = film[index] * (1 - alpha) + np.array(COLOURS[colour]) * alpha
            film[index] = np.rint(blended).astype(np.uint8)
    return film


def _coverage(
    shape: str, x: Float[np.ndarray, "1 side"], y: Float[np.ndarray, "side 1"], radius: float
) -> Float[np.ndarray, "side side"]:
    """How much of each pixel a shape covers: 1 well inside, 0 outside, soft over one pixel."""
    u, v = x / radius, y / radius
    if shape == "circle":
        inside = 1 - np.hypot(u, v)
    elif shape == "square":
        inside = 0.86 - np.maximum(abs(u), abs(v))
    elif shape == "triangle":
        inside = np.minimum(0.55 - v, 0.5 * (1.1 + v) - 0.87 * abs(u))
    else:
        angle = np.arctan2(u, -v)
        inside = 0.62 + 0.42 * np.cos(5 * angle) - np.hypot(u, v)
    pixels = radius * x.shape[1]
    covered: Float[np.ndarray, "side side"] = np.clip(inside * pixels + 0.5, 0, 1)
    return covered
