"""The parts of a TOML document, for colouring."""

import re
from collections.abc import Iterator

_PART = re.compile(
    r"""(?P<table>^\[.*\]$)
    |(?P<key>^[^\s\[\]{}#=][^\n=]*?(?=\s*=))
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'[^'\n]*')
    |(?P<note>\#.*$)
    |(?P<value>(?<![\w.])(?:true|false|[+-]?\d[\d_.]*(?:e[+-]?\d+)?)(?![\w.]))""",
    re.MULTILINE | re.VERBOSE,
)


def toml(text: str) -> Iterator[tuple[str, str]]:
    """The document in pieces: table, key, string, note, value, or "" for the rest; and its text."""
    end = 0
    for found in _PART.finditer(text):
        yield "", text[end : found.start()]
        yield found.lastgroup or "", found.group()
        end = found.end()
    yield "", text[end:]
