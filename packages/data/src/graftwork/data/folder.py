"""Listing the images of a folder."""

from dataclasses import dataclass
from pathlib import Path

from graftwork.core.errors import GraftworkError
from graftwork.data.images import SUFFIXES

_COMPANIONS = (".txt", ".json", ".jsonl", ".md")
"""Files that belong beside images and are no images."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What lies directly in a folder."""

    images: tuple[Path, ...]
    """Files with an image suffix, by name."""
    skipped: tuple[Path, ...]
    """Files that are neither images nor their captions, such as .heic or .gif."""


def list_folder(folder: Path, *, key: str = "path") -> Listing:
    """What lies in a folder that a setting names, subfolders and hidden files left out.

    Raises:
        GraftworkError: the folder is missing, is a file, or cannot be read.
    """
    files = [path for path in _entries(folder, key) if not path.is_dir()]
    known = SUFFIXES + _COMPANIONS
    return Listing(
        images=tuple(path for path in files if is_image_name(path)),
        skipped=tuple(path for path in files if path.suffix.lower() not in known),
    )


def no_images(folder: Path, listing: Listing) -> GraftworkError:
    """The error for a folder without images; it counts the files of other kinds."""
    others = f" (files of other kinds: {len(listing.skipped)})" if listing.skipped else ""
    return GraftworkError(
        f"{folder}: holds no images{others}; put some there ({', '.join(SUFFIXES)})"
    )


def is_image_name(path: Path) -> bool:
    """Whether a file's suffix is that of an image."""
    return path.suffix.lower() in SUFFIXES


def _entries(folder: Path, key: str) -> list[Path]:
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError as error:
        raise GraftworkError(f"{folder}: no such folder; check data.{key}") from error
    except NotADirectoryError as error:
        raise GraftworkError(
            f"{folder}: is a file; data.{key} must name the folder around it"
        ) from error
    except OSError as error:
        raise GraftworkError(f"{folder}: cannot be read ({error.strerror}); mend it") from error
    except ValueError as error:  # a zero byte
        raise GraftworkError(f"{str(folder)!r}: is no path ({error}); check data.{key}") from error
    return sorted(entries, key=lambda path: path.name)
