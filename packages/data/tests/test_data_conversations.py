"""Records in the form of LLaVA and Valley."""

from pathlib import Path
from typing import Any

import pytest

from graftwork.core.errors import GraftworkError
from graftwork.data.video.conversations import read_record
from graftwork.video.file_source import FileSource
from graftwork.video.record import Turn

MEDIA = Path("clips")


def said(*values: str) -> list[dict[str, str]]:
    return [{"from": ("human", "gpt")[i % 2], "value": value} for i, value in enumerate(values)]


def valid(**changes: Any) -> dict[str, Any]:
    record: dict[str, Any] = {"id": "7", "video": "a.mp4"}
    record["conversations"] = said("<video>\nwhat is it?", "a cat ")
    return record | changes


def test_a_record_of_valley() -> None:
    record = read_record(valid(video="0123", source="webvid"), "x", MEDIA)
    assert record.clips == (FileSource(MEDIA / "webvid" / "0123.mp4"),)
    assert record.turns == (Turn("<video>\nwhat is it?", "a cat"),)


def test_several_turns_and_clips_in_order() -> None:
    record = read_record(
        {
            "video": ["a.webm", "frames/"],
            "image": "b.png",
            "conversations": said("<video> and <video>?", "no", "and <image>?", "yes"),
            "options": ["yes", "no"],
            "group": "g",
            "pair": "p",
            "backwards": True,
        },
        "x",
        MEDIA,
    )
    names = ["a.webm", "frames", "b.png"]
    assert record.clips == tuple(FileSource(MEDIA / name, True) for name in names)
    assert [turn.answer for turn in record.turns] == ["no", "yes"]
    assert (record.options, record.group, record.pair) == (("yes", "no"), "g", "p")


def test_messages_with_roles_and_a_system_message() -> None:
    roles = ("system", "user", "assistant")
    messages = [
        {"role": role, "content": text}
        for role, text in zip(roles, ("be kind", "<video>?", "yes"), strict=True)
    ]
    record = read_record({"video": "a.mp4", "messages": messages}, "x", MEDIA)
    assert record.turns == (Turn("<video>?", "yes"),)


def test_text_alone() -> None:
    record = read_record({"conversations": said("2 and 2?", "4")}, "x", MEDIA)
    assert record.clips == ()


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (valid(conversations=said("what?", "a")), "no question has a placeholder"),
        (valid(conversations=said("<video><video>?", "a")), "2 placeholders for 1 clips"),
        (valid(video=None), "1 placeholders for 0 clips"),
        (valid(conversations=said("<video>?")), "the last question has no answer"),
        (valid(conversations=said("<video>?", " ")), "an answer is empty"),
        (valid(conversations=said("<video>?", "<video>")), "an answer holds a placeholder"),
        (valid(conversations=[]), "has no 'conversations'"),
        (valid(conversations=["hi", "ho"]), "a turn is not"),
        (valid(conversations=said("<video>?", "a")[::-1]), "let human and gpt take turns"),
        (valid(video="/etc/passwd"), "leads out of data.media"),
        (valid(video="../a.mp4"), "leads out of data.media"),
        (valid(video=3), "video: expected the name of a file"),
        (valid(source=3), "source: expected text"),
        (valid(options="ab"), "options: write a list"),
        (valid(backwards="yes"), "backwards: write true or false"),
    ],
)
def test_defects_are_named(record: dict[str, Any], told: str) -> None:
    with pytest.raises(GraftworkError, match=f"^file: record 3: .*{told}"):
        read_record(record, "file: record 3", MEDIA)
