"""What a film holds, found without decoding it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import Float64, Int64

from graftwork.core.errors import GraftworkError
from graftwork.video.reading.opening import OpenFilm, open_film
from graftwork.video.reading.turn import Turn


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class FilmInfo:
    """The frames of a film in the order in which they are shown."""

    times: Float64[np.ndarray, " frames"]
    """Seconds from the first frame."""
    stamps: Int64[np.ndarray, " frames"] | None
    """What the file calls each frame: its time in ticks. None where the file does not say, or not
    clearly; such a film is decoded from its beginning."""
    keyframes: Int64[np.ndarray, " keyframes"]
    """The first frame, in ascending order, that can be decoded from each place of entry."""
    entries: Int64[np.ndarray, " keyframes"]
    """The stamps of these places. An edited film hides some: they need not be among `stamps`."""
    size: tuple[int, int]
    """Rows and columns of an upright frame. Pixels count as square."""
    turn: Turn
    """What makes a stored frame upright."""

    @property
    def count(self) -> int:
        """How many frames there are."""
        return len(self.times)


class _Packet(NamedTuple):
    stamp: int | None
    is_key: bool
    is_hidden: bool


def probe(path: Path) -> FilmInfo:
    """Read a film's packets, and decode its first frame.

    A film begins at its first keyframe. What an edit list hides is left out. Where packets do not
    say when they are shown, all of the film is decoded to see.

    Raises:
        GraftworkError: the file is missing, a folder, no film, cut off, or without frames.
    """
    with open_film(path, threads=1) as film:
        packets, first = _listed(film)
        _check_whole(film)
        if first is None:
            raise GraftworkError(
                f"{path}: a film of no frames that can be decoded; replace or remove it"
            )
        size, turn = _seen(first, path)
        tick = film.stream.time_base
    stamps = _stamps(packets)
    if stamps is None:
        nothing = np.zeros(1, dtype=np.int64)
        times = _decoded_times(path)
        return FilmInfo(
            times=times, stamps=None, keyframes=nothing, entries=nothing, size=size, turn=turn
        )
    entries = np.array([p.stamp for p in packets if p.is_key] or stamps[:1], dtype=np.int64)
    return FilmInfo(
        times=(stamps - stamps[0]) * tick.numerator / tick.denominator,
        stamps=stamps,
        keyframes=np.searchsorted(stamps, entries),
        entries=entries,
        size=size,
        turn=turn,
    )


def _listed(film: OpenFilm) -> tuple[list[_Packet], Any]:
    """All packets from the first keyframe on, and the first frame."""
    packets: list[_Packet] = []
    first = None
    for packet in film.container.demux(film.stream):
        if first is None:
            first = next(iter(film.decoded(packet)), None)
        if packet.size:  # the last one is empty: it makes a decoder give what it holds
            packets.append(_Packet(packet.pts, packet.is_keyframe, packet.is_discard))
    begin = next((index for index, packet in enumerate(packets) if packet.is_key), 0)
    return packets[begin:], first


def _check_whole(film: OpenFilm) -> None:
    # An mp4 lists at its beginning or end where each frame lies.
    end = max((entry.pos + entry.size for entry in film.stream.index_entries), default=0)
    if end > film.container.size:
        raise GraftworkError(
            f"{film.path}: cut off: {film.container.size:,} bytes of {end:,} or more are there; "
            "copy the file again"
        )


def _seen(frame: Any, path: Path) -> tuple[tuple[int, int], Turn]:
    matrix = frame.side_data.get("DISPLAYMATRIX")
    try:
        turn = Turn() if matrix is None else Turn.of(bytes(matrix))
    except ValueError as error:
        raise GraftworkError(
            f"{path}: is {error}; only quarter turns are read, so re-encode it"
        ) from error
    return turn.size((frame.height, frame.width)), turn


def _stamps(packets: Sequence[_Packet]) -> Int64[np.ndarray, " frames"] | None:
    """When the frames are shown, ascending; None where that is not clear."""
    if not packets or any(packet.stamp is None for packet in packets):
        return None
    every = np.array([packet.stamp for packet in packets], dtype=np.int64)
    shown = ~np.array([packet.is_hidden for packet in packets], dtype=bool)
    # What is shown before the first keyframe needs frames that are not there.
    stamps = np.sort(every[shown & (every >= every[0])])
    keys = every[[packet.is_key for packet in packets]]
    clear = len(stamps) and (np.diff(stamps) > 0).all() and (np.diff(keys) > 0).all()
    return stamps if clear else None


def _decoded_times(path: Path) -> Float64[np.ndarray, " frames"]:
    with open_film(path) as film:
        times = [frame.time for frame in film.frames()]
        rate = film.stream.average_rate or film.stream.guessed_rate or 25
    known = [time for time in times if time is not None]
    if len(known) == len(times) and (np.diff(known) > 0).all():
        return np.array(known) - known[0]
    return np.arange(len(times)) / float(rate)
