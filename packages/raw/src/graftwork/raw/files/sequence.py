"""Numbered frames in a folder."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from graftwork.core.errors import GraftworkError
from graftwork.raw.files.frame_file import SUFFIXES

_LAST_NUMBER = re.compile(r"(\d+)(?!.*\d)")


def find_frames(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> tuple[Path, ...]:
    """The frames that lie directly in a folder, by the last number of their names.

    A single frame needs no number. Hidden files and files of other kinds than `suffixes`, by
    default those of raw frames, are passed over.

    Raises:
        GraftworkError: no folder, no frame, a name without a number, or a missing number.
    """
    frames = [path for path in _entries(folder) if path.suffix.lower() in suffixes]
    if not frames:
        kind = "raw frames" if suffixes == SUFFIXES else "pictures"
        raise GraftworkError(f"{folder}: holds no {kind}; put some there ({', '.join(suffixes)})")
    if len(frames) == 1:
        return (frames[0],)
    return tuple(in_order({path: _number(path) for path in frames}, folder))


def in_order(numbers: dict[Path, int], folder: Path) -> list[Path]:
    """The paths by their numbers.

    Raises:
        GraftworkError: a number is missing, or stands there twice.
    """
    paths = sorted(numbers, key=lambda path: numbers[path])
    for one, other in pairwise(paths):
        step = numbers[other] - numbers[one]
        if step == 0:
            raise GraftworkError(
                f"{folder}: {one.name} and {other.name} have the same number; remove one"
            )
        if step > 1:
            raise GraftworkError(
                f"{folder}: frame {numbers[one] + 1} is missing, between {one.name} and "
                f"{other.name}; restore it, or split the sequence there"
            )
    return paths


def numbered(name: Callable[[int], Path], numbers: Sequence[int]) -> tuple[Path, ...]:
    """The paths that a data set's layout gives those numbers.

    Raises:
        GraftworkError: one of them is missing.
    """
    paths = tuple(map(name, numbers))
    missing = [path for path in paths if not path.is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise GraftworkError(f"{missing[0]}: no such frame{more}; is the data set complete?")
    return paths


def _number(path: Path) -> int:
    found = _LAST_NUMBER.search(path.stem)
    if found is None:
        raise GraftworkError(
            f"{path}: has no number in its name, and the folder holds several frames; number them"
        )
    return int(found[1])


def _entries(folder: Path) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError as error:
        raise GraftworkError(f"{folder}: no such folder; check the path") from error
    except NotADirectoryError as error:
        raise GraftworkError(f"{folder}: is a file; name the folder of the frames") from error
    except OSError as error:
        raise GraftworkError(f"{folder}: cannot be read ({error.strerror}); mend it") from error
    return sorted(path for path in found if path.is_file())
