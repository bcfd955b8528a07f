"""Captions beside images: cat.txt for cat.png, or one metadata.jsonl for the whole folder."""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from graftwork.core.errors import GraftworkError
from graftwork.data.folder import is_image_name
from graftwork.data.images import SUFFIXES

METADATA = "metadata.jsonl"
_LINE = '{"file_name": "cat.png", "text": "a photo of a cat"}'


def read_captions(folder: Path, images: Iterable[Path]) -> dict[Path, str]:
    """The caption of every image, by path; those of metadata.jsonl may lie in subfolders.

    Raises:
        GraftworkError: an image has no caption, an empty one or two; a line of metadata.jsonl is
            malformed, or names a file that is missing, outside the folder or no image.
    """
    captions = _metadata(folder / METADATA) if (folder / METADATA).exists() else {}
    for image in images:
        sidecar = image.with_suffix(".txt")
        if image in captions and sidecar.exists():
            raise GraftworkError(
                f"{image}: has two captions, in {sidecar.name} and in {METADATA}; keep one"
            )
        if image not in captions:
            captions[image] = _sidecar(image, sidecar)
    return dict(sorted(captions.items()))


def _sidecar(image: Path, path: Path) -> str:
    if not path.exists():
        raise GraftworkError(
            f"{image}: has no caption; write it to {path.name} or to {METADATA}, or use "
            'data.kind = "subject"'
        )
    return _caption(_text(path), place=str(path))


def _metadata(path: Path) -> dict[Path, str]:
    """Hugging Face's layout: one JSON object with `file_name` and `text` on each line."""
    captions: dict[Path, str] = {}
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        entry = _entry(line, place=place)
        image = path.parent / _relative(entry["file_name"], place=place)
        if image in captions:
            raise GraftworkError(f"{place}: names {entry['file_name']!r} again; keep one line")
        if not image.is_file():
            raise GraftworkError(
                f"{place}: {entry['file_name']!r} is missing; restore it or remove the line"
            )
        captions[image] = _caption(entry["text"], place=place)
    return captions


def _entry(line: str, *, place: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise GraftworkError(f"{place}: not JSON; each line is like {_LINE}") from error
    for key in ("file_name", "text"):
        if not isinstance(entry, dict) or not isinstance(entry.get(key), str):
            raise GraftworkError(f"{place}: no {key!r} string; each line is like {_LINE}")
    return entry


def _relative(name: str, *, place: str) -> Path:
    """A file name that stays inside the folder, whatever system wrote it."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    # A backslash separates on Windows alone: refusing it keeps one meaning everywhere.
    if posix.is_absolute() or windows.drive or "\\" in name or ".." in posix.parts or "\0" in name:
        raise GraftworkError(f"{place}: {name!r} leads out of the folder; name a file inside")
    path = Path(posix)
    if not is_image_name(path):
        raise GraftworkError(f"{place}: {name!r} is no image; name one ({', '.join(SUFFIXES)})")
    return path


def _caption(text: str, *, place: str) -> str:
    caption = " ".join(text.split())
    if not caption:
        raise GraftworkError(f"{place}: the caption is empty; write what the image shows")
    return caption


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # editors on Windows begin files with a BOM
    except UnicodeDecodeError as error:
        raise GraftworkError(f"{path}: not text in UTF-8; save it as such") from error
    except OSError as error:
        raise GraftworkError(f"{path}: cannot be read ({error.strerror}); mend it") from error
