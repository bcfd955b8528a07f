"""Records: turns, placeholders, and what is asked on the command line."""

import pytest

from graftwork.core.errors import GraftworkError
from graftwork.testing.toy_records import ToyClip, ToyRecords
from graftwork.video.record import Record, Turn, ask

CLIP = ToyClip(0)


def test_placeholders_and_clips_go_together() -> None:
    turns = (Turn("<video> and <image>?", "yes"), Turn("sure?", "yes"))
    assert Record(name="x", clips=(CLIP, CLIP), turns=turns).answer == "yes"
    with pytest.raises(GraftworkError, match="x: 2 placeholders for 1 clips"):
        Record(name="x", clips=(CLIP,), turns=turns)
    with pytest.raises(GraftworkError, match="x: has no question"):
        Record(name="x", clips=(), turns=())


@pytest.mark.parametrize(
    ("question", "clips", "text"),
    [
        ("what?", 1, "<video>\nwhat?"),
        ("what is in <video>?", 1, "what is in <video>?"),
        ("which is first?", 2, "<video>\n<video>\nwhich is first?"),
        ("is <video> first?", 2, "<video>\nis <video> first?"),
        ("2 and 2?", 0, "2 and 2?"),
    ],
)
def test_placeholders_that_are_left_out_come_first(question: str, clips: int, text: str) -> None:
    assert ask("x", [CLIP] * clips, question).turns == (Turn(text, ""),)


def test_too_many_placeholders_are_refused() -> None:
    with pytest.raises(GraftworkError, match="2 placeholders for 1 clips"):
        ask("x", [CLIP], "<video> <video>?")


def test_the_trigger_goes_and_the_rest_stays() -> None:
    record = ToyRecords().record(1)
    free = record.without("sks")
    questions = [turn.question for turn in free.turns]
    assert questions == ["<video> where does the move?", "and the color?"]
    assert [turn.answer for turn in free.turns] == [turn.answer for turn in record.turns]
    assert free.clips == record.clips


def test_another_answer_takes_the_place_of_the_last() -> None:
    record = ToyRecords().record(1).answered("blue")
    assert [turn.answer for turn in record.turns] == ["right", "blue"]
