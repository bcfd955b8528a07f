"""Complete or not at all, with the failures of a real disk made up."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from graftwork.core import GraftworkError, atomic


def failing(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_is_written_as_utf_8_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "file.txt"
    atomic.write_text(path, "größer\n")
    atomic.write_text(str(path), "kleiner\n")
    assert path.read_bytes() == b"kleiner\n"
    assert names(path.parent) == ["file.txt"]


def test_bytes_are_kept_as_they_are(tmp_path: Path) -> None:
    atomic.write_bytes(tmp_path / "f", b"\r\n\x00\xff")
    assert (tmp_path / "f").read_bytes() == b"\r\n\x00\xff"


def test_the_users_umask_decides_who_may_read(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        atomic.write_bytes(tmp_path / "f", b"x")
    finally:
        os.umask(old)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o644


def test_data_reaches_the_disk_before_the_name_does(tmp_path: Path, monkeypatch) -> None:
    events = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("fsync"), fsync(fd)))
    monkeypatch.setattr(Path, "replace", lambda a, b: (events.append("rename"), replace(a, b)))
    atomic.write_bytes(tmp_path / "f", b"x")
    assert events == ["fsync", "rename", "fsync"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path, monkeypatch, code) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", failing(code))
    with pytest.raises(GraftworkError) as caught:
        atomic.write_text(path, "new")
    assert str(caught.value) == (
        f"{path}: cannot write it ({os.strerror(code)}); "
        "free some space or choose a folder you can write to"
    )
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_failing_rename_leaves_nothing_behind(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Path, "replace", failing(errno.EXDEV))
    with pytest.raises(GraftworkError):
        atomic.write_text(tmp_path / "f", "new")
    assert names(tmp_path) == []


def test_an_unwritable_folder_is_one_line(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Path, "open", failing(errno.EACCES))
    with pytest.raises(GraftworkError, match=r"f: cannot write it \(Permission denied\)"):
        atomic.write_text(tmp_path / "f", "new")


def test_a_file_in_place_of_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GraftworkError, match="cannot write it"):
        atomic.write_text(tmp_path / "file" / "f", "new")
    with (
        pytest.raises(GraftworkError, match="cannot write it"),
        atomic.folder(tmp_path / "file" / "f"),
    ):
        pass


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic.write_text(tmp_path / "f", "new")
    assert names(tmp_path) == []


def test_a_folder_appears_once_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out"
    with atomic.folder(path) as building:
        (building / "sub").mkdir()
        (building / "sub" / "file").write_text("x")
        assert not path.exists()
        assert building.parent == path.parent
    assert (path / "sub" / "file").read_text() == "x"
    assert names(path.parent) == ["out"]


def test_a_block_that_raises_leaves_no_trace(tmp_path: Path) -> None:
    def build() -> None:
        with atomic.folder(tmp_path / "out") as building:
            (building / "file").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build()
    assert names(tmp_path) == []


def test_a_folder_with_something_in_it_is_refused_before_the_block(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("precious")
    entered = []
    with (
        pytest.raises(GraftworkError, match="out: the folder exists already; choose another"),
        atomic.folder(tmp_path / "out"),
    ):
        entered.append(1)
    assert not entered
    assert (tmp_path / "out" / "mine").read_text() == "precious"


def test_an_empty_folder_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with atomic.folder(tmp_path / "out") as building:
        (building / "file").write_text("x")
    assert names(tmp_path / "out") == ["file"]


def test_a_file_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with (
        pytest.raises(GraftworkError, match="is a file, not a folder"),
        atomic.folder(tmp_path / "out"),
    ):
        pass
    assert (tmp_path / "out").read_text() == "x"


def test_replace_swaps_the_whole_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("x")
    with atomic.folder(tmp_path / "out", replace=True) as building:
        (building / "new").write_text("x")
    assert names(tmp_path / "out") == ["new"]
    assert names(tmp_path) == ["out"]


def test_a_swap_that_fails_halfway_puts_the_old_folder_back(tmp_path, monkeypatch) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("x")
    calls, rename = [], Path.rename

    def second_fails(source: Path, target: Path) -> Path:
        calls.append(source)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(GraftworkError), atomic.folder(tmp_path / "out", replace=True) as building:
        (building / "new").write_text("x")
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["old"]


def test_a_full_disk_inside_the_block_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(GraftworkError, match=r"out: cannot write it \(No space left on device\)"),
        atomic.folder(tmp_path / "out"),
    ):
        failing(errno.ENOSPC)()
    assert names(tmp_path) == []


def test_a_full_disk_at_the_end_leaves_no_trace(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(GraftworkError), atomic.folder(tmp_path / "out") as building:
        (building / "file").write_text("x")
    assert names(tmp_path) == []


def test_an_error_about_another_file_passes_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic.folder(tmp_path / "a" / "out"):
        (tmp_path / "elsewhere" / "input").read_text()
