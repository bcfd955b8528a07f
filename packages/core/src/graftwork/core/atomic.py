"""Files and folders that appear complete or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graftwork.core.errors import GraftworkError


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text to ``path`` atomically; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path``: a temporary file beside it, fsync, rename.

    Makes missing parent folders. A reader sees the old file or the new one, never a part. Raises
    GraftworkError when the disk is full or the folder cannot be written, and leaves nothing behind.
    """
    path = Path(path)
    temporary = _beside(path)
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_through(temporary, data)
            temporary.replace(path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def folder(path: str | os.PathLike[str], *, replace: bool = False) -> Iterator[Path]:
    """Build a folder under a temporary name and rename it to ``path`` once the block succeeds.

    >>> with folder("out/adapter") as building:  # doctest: +SKIP
    ...     (building / "adapter.json").write_text("{}")

    An existing folder with something in it is refused with GraftworkError, before the block runs,
    unless ``replace`` says to swap it for the new one. A block that raises leaves no trace; a full
    disk or unwritable place raises GraftworkError.
    """
    path = Path(path)
    building = _beside(path)
    with told(path, own=building):
        _refuse_taken(path, replace)
        building.mkdir(parents=True)
        try:
            yield building
            _sync_tree(building)
            _put_in_place(building, path)
        finally:
            shutil.rmtree(building, ignore_errors=True)


@contextmanager
def told(path: Path, *, own: Path | None = None) -> Iterator[None]:
    """Turn an OSError of the block into one GraftworkError about writing ``path``.

    With ``own``, an error about a file elsewhere than beside ``own`` passes as it is.
    """
    try:
        yield
    except OSError as error:
        if own is not None and not _concerns(error, own):
            raise
        reason = error.strerror or str(error)
        raise GraftworkError(
            f"{path}: cannot write it ({reason}); "
            "free some space or choose a folder you can write to"
        ) from error


def _beside(path: Path) -> Path:
    # The same folder, and so the same disk: a rename across disks is not atomic.
    return path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"


def _write_through(path: Path, data: bytes) -> None:
    # "x" keeps the permissions that the user's umask gives, which tempfile does not.
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _refuse_taken(path: Path, replace: bool) -> None:
    if path.is_dir():
        if not replace and any(path.iterdir()):
            raise GraftworkError(f"{path}: the folder exists already; choose another or remove it")
    elif path.exists():
        raise GraftworkError(f"{path}: is a file, not a folder; choose another name")


def _put_in_place(building: Path, path: Path) -> None:
    if not path.exists():
        building.rename(path)
    else:
        _swap(building, path)
    _sync(path.parent)


def _swap(building: Path, path: Path) -> None:
    # A full folder cannot be renamed over, so the old one steps aside for a moment.
    old = _beside(path)
    path.rename(old)
    try:
        building.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync_tree(top: Path) -> None:
    for parent, _, names in os.walk(top):
        for name in names:
            _sync(Path(parent, name))
        _sync(Path(parent))


def _sync(path: Path) -> None:
    if os.name != "posix" and path.is_dir():
        return  # only POSIX systems open folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _concerns(error: OSError, own: Path) -> bool:
    # A write to a full disk names no file; anything else names the one that failed.
    names = [name for name in (error.filename, error.filename2) if isinstance(name, str | Path)]
    return not names or any(Path(name).is_relative_to(own.parent) for name in names)
