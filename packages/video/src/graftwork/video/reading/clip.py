"""How a clip on disk is read and named."""

import hashlib
import json
from pathlib import Path

import torch

from graftwork.core.errors import GraftworkError
from graftwork.video.clip import Clip
from graftwork.video.reading.decoding import decode, open_sampled
from graftwork.video.reading.folder import find_pictures
from graftwork.video.reading.opening import is_folder, reason
from graftwork.video.reading.sampling import FrameSampling

_VERSION = "graftwork-clip-1"
# Raise it when the same file comes to give other frames.


def read_clip(path: Path, sampling: FrameSampling, *, threads: int = 0) -> Clip:
    """The sampled frames of a film, a folder of frames or a picture.

    0 threads stand for as many as there are cores.

    Raises:
        GraftworkError: it is missing, damaged, cut off, or nothing of the kind.
    """
    frames, times = decode(path, sampling, threads=threads)
    return Clip(str(path), torch.from_numpy(frames), times)


def count_frames(path: Path, sampling: FrameSampling) -> int:
    """How many frames `read_clip` gives, without decoding them.

    Raises:
        GraftworkError: as `read_clip`, save for what only decoding finds.
    """
    return len(open_sampled(path, sampling)[1])


def clip_key(path: Path, sampling: FrameSampling) -> str:
    """SHA-256 of a clip's files and of what is sampled: a name for what is computed from it.

    Of a file the bytes count, of a folder the bytes and names of its pictures; where they lie and
    when they were written does not.

    Raises:
        GraftworkError: a file cannot be read, or a folder holds no pictures.
    """
    digest = hashlib.sha256()
    if is_folder(path):
        pictures = find_pictures(path)
        names = [picture.name for picture in pictures]
        digest.update(_line("folder", sampling, sampling.picture_rate, names))
        for picture in pictures:
            digest.update(_file_digest(picture))
    else:
        digest.update(_line("file", sampling) + _file_digest(path))
    return digest.hexdigest()


def _line(kind: str, sampling: FrameSampling, *more: object) -> bytes:
    return json.dumps([_VERSION, kind, sampling.identity(), *more]).encode()


def _file_digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except FileNotFoundError as error:
        raise GraftworkError(f"{path}: no such file; restore it or remove its entry") from error
    except (OSError, ValueError) as error:
        raise GraftworkError(f"{path}: cannot be read ({reason(error)}); mend it") from error
