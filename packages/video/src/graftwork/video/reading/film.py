"""Exactly the wanted frames of a film."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter
from jaxtyping import Int64, UInt8

from graftwork.core.errors import GraftworkError
from graftwork.video.reading.film_info import FilmInfo, probe
from graftwork.video.reading.opening import OpenFilm, open_film

SEEK_PAST = 8
"""Jumping to a keyframe is worth it where it spares the decoding of more frames than these."""


@final
class Film:
    """A film on disk."""

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        """Look at its packets; 0 threads for as many as there are cores.

        Raises:
            GraftworkError: see `probe`.
        """
        self.path, self.threads = path, threads
        self.info = probe(path)
        self.times, self.size = self.info.times, self.info.size

    def read(self, indices: Sequence[int], out: UInt8[np.ndarray, "time 3 height width"]) -> None:
        """Put the frames at `indices` there; GraftworkError for one that cannot be decoded."""
        read_frames(self.path, indices, info=self.info, out=out, threads=self.threads)


def read_frames(
    path: Path,
    indices: Sequence[int],
    *,
    info: FilmInfo | None = None,
    out: UInt8[np.ndarray, "time 3 height width"] | None = None,
    threads: int = 0,
) -> UInt8[np.ndarray, "time 3 height width"]:
    """The frames at `indices`, upright and in RGB, as decoding all of the film gives them.

    The decoder begins at the keyframe before a wanted frame where that is shorter. `info` spares
    another look at the packets, `out` is written to in place of a new array.

    Raises:
        GraftworkError: see `probe`; or a frame is damaged, or not among the film's.
    """
    info = info or probe(path)
    if not all(0 <= index < info.count for index in indices):
        raise GraftworkError(
            f"{path}: has {info.count} frames, and one of {list(indices)} is not among them; ask "
            "for others"
        )
    if out is None:
        out = np.empty((len(indices), 3, *info.size), dtype=np.uint8)
    wanted = _Wanted(info, indices, out)
    if info.stamps is None:
        with open_film(path, threads=threads) as film:
            _in_order(film, wanted)
    else:
        with open_film(path, threads=threads) as film:
            _from_keyframes(film, info, sorted(set(indices)), wanted)
        if wanted.places:
            with open_film(path, threads=threads) as film:
                _from_the_beginning(film, wanted)
    if wanted.places:
        raise GraftworkError(
            f"{path}: frame {wanted.first_missing} of {info.count} cannot be decoded; the file is "
            "damaged, so copy it again or leave it out"
        )
    return out


class Run(NamedTuple):
    """Wanted frames that are decoded in one go, and the keyframe to begin at."""

    keyframe: int
    """Its number among the keyframes; 0 for the film's beginning."""
    indices: list[int]


def runs(indices: Sequence[int], keyframes: Int64[np.ndarray, " keyframes"]) -> list[Run]:
    """Ascending indices in goes, split where jumping ahead to a keyframe spares something."""
    made = [Run(0, [])]
    for index in indices:
        keyframe = int(np.searchsorted(keyframes, index, side="right")) - 1
        before = made[-1].indices[-1] if made[-1].indices else 0
        if keyframes[keyframe] - before > SEEK_PAST:
            made.append(Run(keyframe, []))
        made[-1].indices.append(index)
    return [run for run in made if run.indices]


@final
class _Wanted:
    """The frames that are still wanted, and where they go."""

    def __init__(
        self, info: FilmInfo, indices: Sequence[int], out: UInt8[np.ndarray, "time 3 rows columns"]
    ) -> None:
        self.places: dict[int, list[int]] = {}
        """By stamp, or by index where the film has none."""
        self._numbers: dict[int, int] = {}
        self._info, self._out = info, out
        self._rows, self._columns = info.turn.size(info.size)
        self._converter = VideoReformatter()
        for place, index in enumerate(indices):
            key = index if info.stamps is None else int(info.stamps[index])
            self.places.setdefault(key, []).append(place)
            self._numbers[key] = index

    @property
    def first_missing(self) -> int:
        """The first frame that is missing, counted from 1."""
        return min(self._numbers[key] for key in self.places) + 1

    def take(self, key: int, frame: Any) -> None:
        """Put a decoded frame where it is wanted."""
        # A film that changes its size on the way is scaled to its first, as players do.
        picture = self._converter.reformat(
            frame, width=self._columns, height=self._rows, format="rgb24", threads=1
        ).to_ndarray()
        upright = self._info.turn.upright(picture)
        self._out[self.places.pop(key)] = upright.transpose(2, 0, 1)

    def repeat(self, shown: Any, *, before: int | None = None) -> None:
        """Put a frame wherever one of those before a stamp, or of all, is still wanted."""
        for key in [each for each in self.places if before is None or each < before]:
            self.take(key, shown)


def _from_keyframes(
    film: OpenFilm, info: FilmInfo, indices: Sequence[int], wanted: _Wanted
) -> None:
    """Decode from keyframe to wanted frame. What a seek or damage misses stays wanted."""
    assert info.stamps is not None
    for run in runs(indices, info.keyframes):
        entry = int(info.entries[run.keyframe])
        if run.keyframe:
            film.container.seek(entry, stream=film.stream)
        last = int(info.stamps[run.indices[-1]])
        for frame in _sound(film, entry if run.keyframe else None):
            if frame.pts in wanted.places:
                wanted.take(frame.pts, frame)
            if frame.pts >= last:
                break


def _sound(film: OpenFilm, entry: int | None) -> Iterator[Any]:
    """Frames from a keyframe on, or from here; none after an error, which spoils what follows."""
    film.errors, begun = 0, entry is None
    for frame in film.frames():
        if film.errors or frame.pts is None:
            return
        if not begun and frame.pts >= entry:
            # Some encoders call a frame key from which the picture only begins to mend.
            if frame.pts > entry or frame.pict_type != PictureType.I:
                return
            begun = True
        if begun:
            yield frame


def _from_the_beginning(film: OpenFilm, wanted: _Wanted) -> None:
    """Decode everything; a frame that is never shown is the one before it, which stays on show."""
    shown = None
    for frame in _sound(film, None):
        if shown is not None:
            wanted.repeat(shown, before=frame.pts)
        if frame.pts in wanted.places:
            wanted.take(frame.pts, frame)
        if not wanted.places:
            return
        shown = frame
    if shown is not None and not film.errors:
        wanted.repeat(shown)


def _in_order(film: OpenFilm, wanted: _Wanted) -> None:
    for index, frame in enumerate(film.frames()):
        if index in wanted.places:
            wanted.take(index, frame)
        if not wanted.places:
            return
