"""From a path to its frames. No module that this one needs imports torch: workers run it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float64, Int, UInt8

from graftwork.video.reading.film import Film
from graftwork.video.reading.folder import Pictures, find_pictures
from graftwork.video.reading.image import is_picture
from graftwork.video.reading.opening import is_folder
from graftwork.video.reading.sampling import FrameSampling

Shape = tuple[int, int, int, int]
"""Time, channels, rows, columns."""


class Frames(Protocol):
    """Something to take frames from."""

    times: Float64[np.ndarray, " count"]
    """Seconds from the first frame."""
    size: tuple[int, int]
    """Rows and columns."""

    def read(self, indices: Sequence[int], out: UInt8[np.ndarray, "time 3 height width"]) -> None:
        """Put the frames at `indices` there."""


def open_sampled(
    path: Path, sampling: FrameSampling, *, threads: int = 0
) -> tuple[Frames, Int[np.ndarray, " chosen"]]:
    """A folder of frames, a picture or a film, by what lies there, and which frames to take.

    A picture is a clip of one frame, whatever is sampled.

    Raises:
        GraftworkError: it is missing, or none of these.
    """
    if is_picture(path) and not is_folder(path):
        return Pictures([path]), np.zeros(1, dtype=np.int64)
    found = (
        Pictures(find_pictures(path), rate=sampling.picture_rate)
        if is_folder(path)
        else Film(path, threads=threads)
    )
    return found, sampling.indices(len(found.times), found.times)


def decode(
    path: Path,
    sampling: FrameSampling,
    *,
    allocate: "Callable[[Shape], np.ndarray]" = lambda shape: np.empty(shape, dtype=np.uint8),
    threads: int = 0,
) -> tuple[UInt8[np.ndarray, "time 3 height width"], tuple[float, ...]]:
    """The sampled frames, in what `allocate` gives for their shape, and their times in seconds.

    Raises:
        GraftworkError: the clip cannot be read.
    """
    found, indices = open_sampled(path, sampling, threads=threads)
    out = allocate((len(indices), 3, *found.size))
    found.read(indices.tolist(), out)
    return out, tuple(found.times[indices].tolist())


def decode_to_file(path: Path, sampling: FrameSampling, target: Path) -> tuple[float, ...]:
    """Decode straight into a new .npy file, with one thread; the times.

    Raises:
        GraftworkError: the clip cannot be read.
        OSError: there is no room for it.
    """

    def mapped(shape: Shape) -> np.ndarray:
        out = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
        _reserve(target)
        return out

    return decode(path, sampling, allocate=mapped, threads=1)[1]


def _reserve(target: Path) -> None:
    # Writing through a map to a disk that is full kills the process; asking first is an error.
    if hasattr(os, "posix_fallocate"):
        with target.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, target.stat().st_size)
