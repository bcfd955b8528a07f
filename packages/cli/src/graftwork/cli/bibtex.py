"""Turning a record's one-line source into a BibTeX entry."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from string import ascii_lowercase

_SOURCE = re.compile(
    r"(?:arXiv:(?P<eprint>\d{4}\.\d{4,5}|[a-z.-]+/\d{7})(?:v\d+)?|doi:(?P<doi>\S+))\s+"
    r"(?P<authors>.+?)[ ,]+(?P<year>\d{4})[,:.]?\s+(?P<title>.+)",
    re.IGNORECASE,
)
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    **{character: f"\\{character}" for character in "&%$#_"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def entries(sources: Iterable[str]) -> tuple[str, ...]:
    """One ``@misc`` entry for each source, under keys that differ.

    A source is ``"arXiv:2403.19243 Ji et al. 2025, Title"`` or the same with ``doi:``; anything
    else becomes an entry whose title is the whole text.
    """
    made: list[str] = []
    taken: Counter[str] = Counter()
    for source in sources:
        key, fields = _read(source)
        made.append(_misc(key + ("", *ascii_lowercase)[taken[key] % 27], fields))
        taken[key] += 1
    return tuple(made)


def _read(source: str) -> tuple[str, dict[str, str]]:
    """Key and fields of one source."""
    match = _SOURCE.fullmatch(source.strip())
    if match is None:
        return _key("source", "", source), {"title": f"{{{_escaped(source)}}}"}
    found = match.groupdict()
    fields = {
        "author": _authors(found["authors"]),
        "title": f"{{{_escaped(found['title'])}}}",
        "year": found["year"],
    }
    if found["eprint"]:
        fields |= {"eprint": found["eprint"], "archiveprefix": "arXiv"}
    else:
        fields["doi"] = found["doi"]
    return _key(found["authors"], found["year"], found["title"]), fields


def _misc(key: str, fields: dict[str, str]) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@misc{{{key},\n{lines}}}"


def _authors(text: str) -> str:
    """``Ji et al.`` as BibTeX writes it: ``Ji and others``."""
    first = re.sub(r",?\s+et al\.?$", " and others", text)
    return _escaped(re.sub(r"\s+&\s+|,\s+(?:and\s+)?", " and ", first))


def _key(authors: str, year: str, title: str) -> str:
    words = [_ascii(word) for word in re.findall(r"\w+", title)]
    notable = next((word for word in words if len(word) > 3), words[0] if words else "")
    return f"{_ascii(authors.split()[0])}{year}{notable}"


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"\W", "", plain).lower()


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in text)
