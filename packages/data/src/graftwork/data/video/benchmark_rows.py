"""How the public benchmarks of questions about clips write theirs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

from graftwork.core.errors import GraftworkError
from graftwork.video.file_source import FileSource
from graftwork.video.record import Record, Turn

Format = Literal["msvd-qa", "msrvtt-qa", "video-mme", "mvbench", "next-qa"]
Row = Mapping[str, Any]


def read_row(row: Row, form: Format, name: str, media: Path, media_suffix: str) -> Record:
    """One row of a benchmark as a record.

    Args:
        row: of a JSON or CSV file.
        form: whose rows these are.
        name: what errors call it.
        media: the folder of the clips.
        media_suffix: what the names of clips end in, where rows leave it away.

    Raises:
        GraftworkError: a key is missing, or the answer is none of the options.
    """
    try:
        return _READERS[form](row, name, media, media_suffix)
    except KeyError as error:
        raise GraftworkError(
            f"{name}: has no {error}, which rows of {form} have; check data.format"
        ) from error


def _msvd(row: Row, name: str, media: Path, suffix: str) -> Record:
    return _open(row, name, media / f"{row.get('video', row.get('video_id'))}", suffix)


def _msrvtt(row: Row, name: str, media: Path, suffix: str) -> Record:
    return _open(row, name, media / f"video{row['video_id']}", suffix)


def _open(row: Row, name: str, clip: Path, suffix: str) -> Record:
    return _record(name, _suffixed(clip, suffix), str(row["question"]), str(row["answer"]))


def _video_mme(row: Row, name: str, media: Path, suffix: str) -> Record:
    options = [str(option).split(". ", 1)[-1] for option in row["options"]]
    answer = _option(options, ascii_uppercase.find(str(row["answer"]).strip()[:1]), name)
    clip = _suffixed(media / str(row["videoID"]), suffix)
    return _record(
        name, clip, str(row["question"]), answer, options=options, group=str(row["duration"])
    )


def _mvbench(row: Row, name: str, media: Path, suffix: str) -> Record:
    options = [str(option) for option in row["candidates"]]
    answer = _option(options, _place(options, str(row["answer"])), name)
    clip = _suffixed(media / str(row["video"]), suffix)
    group = str(row.get("task", row.get("question_type", "")))
    return _record(name, clip, str(row["question"]), answer, options=options, group=group)


def _next_qa(row: Row, name: str, media: Path, suffix: str) -> Record:
    options = [str(row[f"a{place}"]) for place in range(5)]
    answer = _option(options, int(row["answer"]), name)
    clip = _suffixed(media / str(row["video"]), suffix)
    group = str(row.get("type", ""))
    return _record(name, clip, str(row["question"]), answer, options=options, group=group)


_READERS: Mapping[Format, Callable[[Row, str, Path, str], Record]] = {
    "msvd-qa": _msvd,
    "msrvtt-qa": _msrvtt,
    "video-mme": _video_mme,
    "mvbench": _mvbench,
    "next-qa": _next_qa,
}


def _record(
    name: str,
    clip: Path,
    question: str,
    answer: str,
    *,
    options: list[str] | None = None,
    group: str = "",
) -> Record:
    text = f"<video>\n{question.strip()}"
    if options:
        lettered = zip(ascii_uppercase, options, strict=False)
        text += "".join(f"\n({letter}) {option}" for letter, option in lettered)
    return Record(
        name=name,
        clips=(FileSource(clip),),
        turns=(Turn(text, answer),),
        options=tuple(options or ()),
        group=group,
    )


def _option(options: list[str], place: int, name: str) -> str:
    if not 0 <= place < len(options):
        raise GraftworkError(f"{name}: the answer is none of the {len(options)} options; mend it")
    return options[place]


def _place(options: list[str], answer: str) -> int:
    return options.index(answer) if answer in options else -1


def _suffixed(clip: Path, suffix: str) -> Path:
    return clip if clip.suffix else clip.with_name(clip.name + suffix)
