"""Made-up films of moving shapes before photographs, with questions: no file, no download."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.random import Generator, default_rng

from graftwork.core.config import Ge, config
from graftwork.data.raw.photographs import Split, load_photograph, photographs
from graftwork.data.video.shapes_questions import ABOUT_ORDER, Question, question, subjects
from graftwork.data.video.shapes_scene import (
    NEW_MOTION,
    NEW_SHAPE,
    Scene,
    draw_motion,
    draw_scene,
    render,
)
from graftwork.video.clip import Clip
from graftwork.video.instructions import VideoInstructions
from graftwork.video.reading.sampling import FrameSampling
from graftwork.video.record import Record, Turn
from graftwork.video.source import ClipSource

NEW = "new"
"""The group of questions about what is new."""
SECONDS = 2.0
"""How long every film is said to be."""


@config
class MovingShapesConfig:
    """Settings of made-up films."""

    clips: Annotated[int, Ge(1)] = 2000
    """Films to train on, with one question each."""

    test_clips: Annotated[int, Ge(1)] = 200
    """Films to judge on, each forwards and backwards, before other photographs."""

    frames: Annotated[int, Ge(1)] = 8
    """Frames of a film."""

    side: Annotated[int, Ge(16)] = 32
    """Side of a frame in pixels."""

    noise: Annotated[float, Ge(0)] = 0.03
    """Standard deviation of the noise of each frame; white is 1."""

    concept: Literal["none", "star", "round"] = "none"
    """What is new, for studies of adapters: stars, or shapes going round. Training then shows
    nothing else, and half of what is judged is in the group ``new``, half without it."""

    trigger: str | None = None
    """A word that stands before every question about what is new, and before no other; absent for
    none."""

    photographs: tuple[str, ...] = ()
    """Backgrounds of the training films; absent for all that are not kept for judging."""

    seed: int = 0
    """Of everything that is drawn."""

    def __post_init__(self) -> None:
        if self.trigger is not None and self.concept == "none":
            raise ValueError("trigger: nothing is new; choose a concept, or leave it out")


@dataclass(frozen=True)
class MadeClip(ClipSource):
    """A film that is rendered when it is asked for."""

    scene: Scene
    settings: MovingShapesConfig
    split: Split
    seed: int
    backwards: bool = False

    @property
    def name(self) -> str:
        """Its kind and number."""
        return f"{self.scene.kind}-{self.seed}"

    def key(self, sampling: FrameSampling) -> str:
        """Hash of everything that it is made from."""
        return hashlib.sha256(f"{self!r} {sampling!r}".encode()).hexdigest()

    def read(self, sampling: FrameSampling) -> Clip:
        """Rendered, then sampled like any film."""
        own, generator = (
            self.settings,
            default_rng([own_seed(self.settings, self.split), self.seed]),
        )
        film = render(self.scene, self._background(generator), frames=own.frames)
        noise = generator.normal(0, own.noise * 255, film.shape)
        film = np.clip(np.rint(film + noise), 0, 255).astype(np.uint8)
        times = np.linspace(0, SECONDS, own.frames)
        chosen = sampling.indices(own.frames, times)
        frames = torch.from_numpy(film[chosen]).permute(0, 3, 1, 2).contiguous()
        clip = Clip(self.name, frames, tuple(times[chosen].tolist()))
        return clip.reversed() if self.backwards else clip

    def _background(self, generator: Generator) -> UInt8[np.ndarray, "side side 3"]:
        """A crop of a photograph, at most half the contrast, so that shapes stand out."""
        side = self.settings.side
        given = self.settings.photographs if self.split == "train" else ()
        names = given or tuple(each.name for each in photographs(self.split))
        picture = _small(str(generator.choice(names)), 3 * side)
        top, left = (int(generator.integers(0, n - side + 1)) for n in picture.shape[:2])
        crop = picture[top : top + side, left : left + side]
        return (64 + crop.astype(np.float32) * 0.5).astype(np.uint8)


class MovingShapes(VideoInstructions):
    """A question about each film; to judge on, the same of the film backwards.

    The films are as likely backwards as forwards, so a backbone that ignores the order of frames
    is right about at most one of a pair (`graftwork.metrics.answers.VideoPairs`).
    """

    def __init__(self, settings: MovingShapesConfig, split: Split = "train") -> None:
        self.settings, self.split = settings, split
        self.trigger = settings.trigger
        count = settings.clips if split == "train" else settings.test_clips
        self._asked = [self._draw(index) for index in range(count)]

    def __len__(self) -> int:
        return len(self._asked) * (1 if self.split == "train" else 2)

    def record(self, index: int) -> Record:
        """Film `index`; in the test every second record is the film before it, backwards."""
        both = self.split == "test"
        place, backwards = divmod(index, 2) if both else (index, 0)
        scene, asked, group = self._asked[place]
        answer = asked.backwards if backwards else asked.answer
        pair = f"{self.split}-{place}" if both and asked.about in ABOUT_ORDER else ""
        return Record(
            name=f"moving-shapes: {self.split} record {index + 1}",
            clips=(MadeClip(scene, self.settings, self.split, place, bool(backwards)),),
            turns=(Turn(f"<video>\n{self._worded(asked, group)}", answer),),
            group=group,
            pair=pair if group != NEW else "",
        )

    def _worded(self, asked: Question, group: str) -> str:
        return f"{self.trigger} {asked.text}" if self.trigger and group == NEW else asked.text

    def check(self) -> None:
        """Look for the photographs."""
        for name in self.settings.photographs or [each.name for each in photographs(self.split)]:
            load_photograph(name)

    def hash(self) -> str:
        """Hash of the settings."""
        return hashlib.sha256(f"{self.settings!r} {self.split}".encode()).hexdigest()[:16]

    def held_out(self) -> "MovingShapes | None":
        """Other films before other photographs."""
        return MovingShapes(self.settings, "test") if self.split == "train" else None

    def _draw(self, index: int) -> tuple[Scene, Question, str]:
        generator = default_rng([own_seed(self.settings, self.split), 1, index])
        concept = self.settings.concept
        is_new = concept != "none" and (self.split == "train" or index % 2 == 0)
        if is_new and concept == "star":
            scene = draw_scene(generator, shapes=[NEW_SHAPE])
            while scene.kind == "flash":
                scene = draw_scene(generator, shapes=[NEW_SHAPE])
            asked = question(scene, "shape", generator)
        elif is_new:
            scene = draw_motion(generator, NEW_MOTION)
            asked = question(scene, "direction", generator)
        else:
            scene = draw_scene(generator)
            asked = question(scene, str(generator.choice(subjects(scene))), generator)
        return scene, asked, NEW if is_new else asked.group


def own_seed(settings: MovingShapesConfig, split: Split) -> int:
    """A seed for each side of the split, so that no film is in both."""
    return 2 * settings.seed + (split == "test")


@lru_cache(maxsize=16)
def _small(name: str, side: int) -> UInt8[np.ndarray, "height width 3"]:
    """A photograph whose short side is `side` pixels."""
    picture = load_photograph(name)
    scale = side / min(picture.shape[-2:])
    size = tuple(max(side, round(length * scale)) for length in picture.shape[-2:])
    small = torch.nn.functional.interpolate(
        picture[None], size=size, mode="bilinear", antialias=True, align_corners=False
    )[0]
    return (small.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
