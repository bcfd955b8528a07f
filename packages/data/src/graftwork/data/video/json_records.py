"""The objects of a JSON or JSON Lines file, one at a time, however large the file is."""

import json
import re
from array import array
from collections.abc import Iterator, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, overload

from graftwork.core.errors import GraftworkError

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
"""A whole string, whose brackets do not count, or a bracket."""


class JsonRecords(Sequence[dict[str, Any]]):
    """Reads each object when it is asked for; in memory is only where each lies.

    A file that ends in .jsonl has an object on each line, any other one list of objects.

    Raises:
        GraftworkError: the file is missing, empty, or no list of JSON objects.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._starts, self._lengths = array("Q"), array("Q")
        try:
            for start, length in _lines(path) if is_lines(path) else _items(path):
                self._starts.append(start)
                self._lengths.append(length)
        except FileNotFoundError as error:
            raise GraftworkError(f"{path}: no such file; check data.path") from error
        except OSError as error:
            raise GraftworkError(f"{path}: cannot be read ({error.strerror}); mend it") from error
        if not self._starts:
            raise GraftworkError(f"{path}: holds no record; give a file with at least one")

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """Object `index`, or those of a slice.

        Raises:
            GraftworkError: it is no JSON object.
        """
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        with self.path.open("rb") as file:
            file.seek(self._starts[index])
            text = file.read(self._lengths[index])
        try:
            found = json.loads(text)
        except ValueError as error:
            raise GraftworkError(f"{self.path}: record {index + 1}: no JSON ({error})") from error
        if not isinstance(found, dict):
            raise GraftworkError(f"{self.path}: record {index + 1}: is no object; write {{...}}")
        return found


def is_lines(path: Path) -> bool:
    """Whether a file has a JSON object on each line."""
    return path.suffix.lower() in (".jsonl", ".ndjson")


def _lines(path: Path) -> Iterator[tuple[int, int]]:
    start = 0
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                yield start, len(line)
            start += len(line)


def _items(path: Path) -> Iterator[tuple[int, int]]:
    """Where the objects of a list lie: from an outermost brace to the one that closes it."""
    if path.stat().st_size == 0:
        return
    depth = start = 0
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as text:
        first = _TOKEN.search(text)
        if first is None or first[0] != b"[":
            raise GraftworkError(
                f"{path}: is no list of records; write [{{...}}, ...], or a record on each line "
                "of a .jsonl file"
            )
        for token in _TOKEN.finditer(text):
            if token[0] in (b"[", b"{"):
                start = token.start() if depth == 1 else start
                depth += 1
            elif token[0] in (b"]", b"}"):
                depth -= 1
                if depth == 1:
                    yield start, token.end() - start
    if depth > 0:
        raise GraftworkError(f"{path}: ends in the middle; the file was cut short, copy it again")
