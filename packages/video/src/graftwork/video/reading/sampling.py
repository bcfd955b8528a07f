"""Which frames of a film are looked at."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from jaxtyping import Float, Int

from graftwork.core.config import Ge, Gt, config

FRAMES = 8
"""How many are taken where nothing is said, as Valley does (Luo et al. 2023, arXiv:2306.07207)."""

MOST = 128
"""How many `fps` takes at most where nothing is said."""


@config
class FrameSampling:
    """Which frames of a clip are looked at: a number of them, or so many a second."""

    frames: Annotated[int, Ge(1)] | None = None
    """How many, spread evenly over the clip with its first and last; absent for 8, or for `fps`."""

    fps: Annotated[float, Gt(0)] | None = None
    """Frames a second, in place of a number."""

    max_frames: Annotated[int, Ge(1)] | None = None
    """How many `fps` takes at most; where it would take more, so many are spread evenly over the
    clip. Absent for 128."""

    picture_rate: Annotated[float, Gt(0)] = 1.0
    """Pictures a second in a folder of frames, which has no clock of its own."""

    def __post_init__(self) -> None:
        if self.frames is not None and self.fps is not None:
            raise ValueError(
                f"frames is {self.frames} and fps {self.fps}; choose one and leave out the other"
            )
        if self.max_frames is not None and self.fps is None:
            raise ValueError("max_frames bounds fps, which is not given; give fps or leave it out")

    def indices(
        self, count: int, times: Sequence[float] | Float[np.ndarray, " count"]
    ) -> Int[np.ndarray, " chosen"]:
        """Which of `count` frames to take, in order; `times` are theirs in seconds.

        A clip of fewer frames than are asked for gives some of them twice.
        """
        if self.fps is None:
            return even_indices(count, self.frames or FRAMES)
        clock = np.asarray(times, dtype=np.float64)
        # The margin is for times that are no exact binary fractions.
        taken = int((clock[-1] - clock[0]) * self.fps + 1e-6) + 1
        most = self.max_frames or MOST
        if taken > most:
            return even_indices(count, most)
        return _nearest(clock, clock[0] + np.arange(taken) / self.fps)

    def identity(self) -> tuple[str, float, int]:
        """The same for two that take the same frames of every film."""
        if self.fps is None:
            return "frames", float(self.frames or FRAMES), 0
        return "fps", self.fps, self.max_frames or MOST


def even_indices(count: int, frames: int) -> Int[np.ndarray, " frames"]:
    """Valley's choice: trunc(linspace(0, count - 1, frames)).

    >>> even_indices(75, 8).tolist()
    [0, 10, 21, 31, 42, 52, 63, 74]
    """
    return np.linspace(0, count - 1, frames).astype(np.int64)


def _nearest(
    clock: Float[np.ndarray, " count"], wanted: Float[np.ndarray, " chosen"]
) -> Int[np.ndarray, " chosen"]:
    # Not the frame on show at that time: a webm rounds its times to milliseconds, and half of
    # them come too late.
    return np.searchsorted((clock[1:] + clock[:-1]) / 2, wanted)
