"""Opening a file as a film, with one clear line for whatever is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import av
from av.stream import Disposition

from graftwork.core.errors import GraftworkError

# Titles in another encoding than UTF-8 are no reason to refuse a film; from 19 on PyAV knows that.
_ANY_TITLE: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)


@final
@dataclass
class OpenFilm:
    """A film at its beginning."""

    path: Path
    container: Any
    stream: Any
    """Its pictures."""
    errors: int = 0
    """Packets that could not be decoded so far."""

    def decoded(self, packet: Any) -> list[Any]:
        """The frames that come out for a packet; none, and an error counted, for a damaged one."""
        try:
            return packet.decode()
        except av.FFmpegError:
            self.errors += 1
            return []

    def frames(self) -> Iterator[Any]:
        """Decoded frames from here on, in the order in which they are shown."""
        for packet in self.container.demux(self.stream):
            yield from self.decoded(packet)


@contextmanager
def open_film(path: Path, *, threads: int = 0) -> Iterator[OpenFilm]:
    """A film, open for the block; 0 threads for as many as there are cores.

    Raises:
        GraftworkError: no such file, a folder, no film, or one without pictures.
    """
    check_file(path)
    try:
        # "file:" and the list: neither an odd name nor what is in the file leads to the network.
        container = av.open(f"file:{path}", options={"protocol_whitelist": "file"}, **_ANY_TITLE)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise GraftworkError(f"{path}: {_unopened(path, error)}") from error
    with container:
        stream = _pictures(container, path)
        stream.thread_count = threads
        stream.thread_type = "AUTO"
        try:
            yield OpenFilm(path, container, stream)
        except av.FFmpegError as error:
            raise GraftworkError(
                f"{path}: cannot be read on ({reason(error)}); copy the file again, or mend it"
            ) from error


def check_file(path: Path) -> None:
    """Refuse what is no file with something in it.

    Raises:
        GraftworkError: it is missing, a folder, empty, or cannot be read.
    """
    if is_folder(path):
        raise GraftworkError(f"{path}: is a folder; name a file in it")
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise GraftworkError(f"{path}: no such file; restore it or remove its entry") from error
    except (OSError, ValueError) as error:
        raise GraftworkError(f"{path}: cannot be read ({reason(error)}); mend it") from error
    if not size:
        raise GraftworkError(f"{path}: the file is empty; copy it again, or remove it")


def is_folder(path: Path) -> bool:
    """Whether a folder lies there; not so for what no path can be."""
    try:
        return path.is_dir()
    except OSError:
        return False


def reason(error: Exception) -> str:
    """What the system says, without the path."""
    return str(getattr(error, "strerror", None) or error)


def _pictures(container: Any, path: Path) -> Any:
    # The cover of a song is a video stream, too.
    films = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not films:
        other = "sound and no pictures" if container.streams.audio else "no pictures"
        raise GraftworkError(f"{path}: holds {other}; give a film")
    if films[0].codec_context is None:
        raise GraftworkError(
            f"{path}: nothing here decodes its pictures; re-encode it, as H.264 for example"
        )
    return films[0]


def _unopened(path: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "may not be read; change its permissions"
    with path.open("rb") as file:
        start = file.read(12)
    if start[4:8] == b"ftyp":
        return (
            "an mp4 without its index (moov), as an interrupted recording or download leaves it; "
            "copy the file again"
        )
    return f"is no film that can be read ({reason(error)}); replace or remove the file"
