"""The records of LLaVA and Valley: turns between a human and a model, with images or videos."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graftwork.core.errors import GraftworkError
from graftwork.video.file_source import FileSource
from graftwork.video.record import PLACEHOLDER, Record, Turn

_HUMAN, _MODEL = ("human", "user"), ("gpt", "assistant")


def read_record(given: Mapping[str, Any], name: str, media: Path) -> Record:
    """One record of the form of LLaVA and Valley (Luo et al. 2023, arXiv:2306.07207).

    ``{"id", "video" | "image", "source", "conversations": [{"from": "human" | "gpt", "value"}]}``;
    `video` and `image` hold a name or a list of names, `source` a folder below `media`, and a
    video's name without a suffix means .mp4. ``messages`` of ``role`` and ``content`` are taken
    too. ``options``, ``group``, ``pair`` and ``backwards`` are ours and optional.

    Args:
        given: the record.
        name: what errors call it.
        media: the folder that names of clips are relative to.

    Raises:
        GraftworkError: a key is missing or of another type, turns do not alternate, an answer is
            missing, or placeholders and clips do not go together.
    """
    folder = media / _text(given, "source", name, default="")
    backwards = given.get("backwards", False)
    if not isinstance(backwards, bool):
        raise GraftworkError(f"{name}: backwards: write true or false, not {backwards!r}")
    paths = [folder / _with_suffix(each) for each in _names(given, "video", name)]
    paths += [folder / each for each in _names(given, "image", name)]
    turns = _turns(given, name)
    if paths and not any(PLACEHOLDER.search(turn.question) for turn in turns):
        raise GraftworkError(
            f"{name}: no question has a placeholder; write <video> where the clip belongs"
        )
    options = given.get("options", [])
    if not isinstance(options, Sequence) or isinstance(options, str):
        raise GraftworkError(f"{name}: options: write a list of answers, not {options!r}")
    return Record(
        name=name,
        clips=tuple(FileSource(path, backwards) for path in paths),
        turns=turns,
        options=tuple(map(str, options)),
        group=_text(given, "group", name, default=""),
        pair=_text(given, "pair", name, default=""),
    )


def _turns(given: Mapping[str, Any], name: str) -> tuple[Turn, ...]:
    said = [_said(each, name) for each in _list(given, name)]
    if len(said) % 2:
        raise GraftworkError(f"{name}: the last question has no answer; answer it or take it out")
    turns = []
    for (asks, question), (answers, answer) in zip(said[::2], said[1::2], strict=True):
        if asks not in _HUMAN or answers not in _MODEL:
            raise GraftworkError(
                f"{name}: '{asks}' is followed by '{answers}'; let human and gpt take turns"
            )
        if not answer.strip():
            raise GraftworkError(f"{name}: an answer is empty; write it or take the turn out")
        if PLACEHOLDER.search(answer):
            raise GraftworkError(f"{name}: an answer holds a placeholder; only questions may")
        turns.append(Turn(question, answer.strip()))
    return tuple(turns)


def _list(given: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = given.get("conversations", given.get("messages"))
    if not isinstance(found, list) or not found:
        raise GraftworkError(f"{name}: has no 'conversations'; write a list of turns")
    first = found[0]
    if isinstance(first, Mapping) and first.get("role", first.get("from")) == "system":
        return found[1:]
    return found


def _said(turn: Any, name: str) -> tuple[str, str]:
    if isinstance(turn, Mapping):
        who = turn.get("from", turn.get("role"))
        what = turn.get("value", turn.get("content"))
        if isinstance(who, str) and isinstance(what, str):
            return who.lower(), what
    raise GraftworkError(f"{name}: a turn is not {{'from': ..., 'value': ...}}, both of them text")


def _names(given: Mapping[str, Any], key: str, name: str) -> list[str]:
    found = given.get(key, given.get(f"{key}s"))
    listed = found if isinstance(found, list) else [] if found is None else [found]
    for each in listed:
        if not isinstance(each, str) or not each:
            raise GraftworkError(f"{name}: {key}: expected the name of a file, got {each!r}")
        if Path(each).is_absolute() or ".." in Path(each).parts:
            raise GraftworkError(
                f"{name}: {key}: '{each}' leads out of data.media; name a file below it"
            )
    return listed


def _text(given: Mapping[str, Any], key: str, name: str, *, default: str) -> str:
    found = given.get(key, default)
    if not isinstance(found, str):
        raise GraftworkError(f"{name}: {key}: expected text, got {found!r}")
    return found


def _with_suffix(file: str) -> str:
    """Valley's own records leave .mp4 away; a folder of frames ends in a slash."""
    return file if file.endswith("/") or re.search(r"\.\w{1,5}$", file) else f"{file}.mp4"
