"""Answers to questions about clips, right and wrong."""

import pytest

from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.metrics.letters import meant
from graftwork.metrics.normalising import normalised
from graftwork.testing import AnswerMetricSuite
from graftwork.video.evaluation import Answered
from graftwork.video.record import Record, Turn


class TestVideoQA(AnswerMetricSuite):
    name = "video-qa"


class TestVideoChoice(AnswerMetricSuite):
    name = "video-choice"


class TestVideoPairs(AnswerMetricSuite):
    name = "video-pairs"


class Said:
    """Records with what was said to them."""

    def __init__(self, *answered: Answered) -> None:
        self.all = answered

    def answered(self, *, adapted: bool) -> tuple[Answered, ...]:
        assert adapted
        return self.all


def said(truth: str, answer: str, *, likelihoods=(), options=(), group="", pair="") -> Answered:
    record = Record(
        name="x",
        clips=(),
        turns=(Turn("?", truth),),
        options=tuple(options),
        group=group,
        pair=pair,
    )
    return Answered(record=record, answer=answer, likelihoods=likelihoods)


def values(name: str, *answered: Answered, **settings: object) -> dict[str, float]:
    record = registry.find("metrics", name)
    return record.load()(parse(record.settings_class(), settings, name))(Said(*answered))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("The Cat.", "cat"),
        ("  two  DOGS! ", "2 dogs"),
        ("an orange", "orange"),
        ("don't", "dont"),
        ("2.5", "2.5"),
        ("a.b", "b"),
        ("anthem", "anthem"),
    ],
)
def test_answers_are_compared_without_trifles(given: str, expected: str) -> None:
    assert normalised(given) == expected


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ("B", 1),
        ("B.", 1),
        ("(c)", None),
        ("(C) up", 2),
        ("The answer is B", 1),
        ("Answer: (A)", 0),
        ("Option C", 2),
        ("it goes to the right", 1),
        ("left or right", None),
        ("A cat is seen", None),
        ("E.", None),
        ("", None),
    ],
)
def test_which_option_is_meant(answer: str, place: int | None) -> None:
    assert meant(answer, ["left", "right", "up", "down"]) == place


def test_open_answers_by_group() -> None:
    found = values(
        "video-qa",
        said("red", "Red.", group="colour"),
        said("red", "blue", group="colour"),
        said("left", "left", group="direction"),
    )
    assert found == {
        "video-qa": pytest.approx(2 / 3),
        "video-qa_colour": 0.5,
        "video-qa_direction": 1.0,
    }


def test_choices_by_likelihood_and_by_letter() -> None:
    options = ("left", "right")
    answered = (
        said("right", "A", likelihoods=(-2.0, -1.0), options=options),
        said("left", "nothing", likelihoods=(-1.0, -2.0), options=options),
        said("left", "no options here"),
    )
    assert values("video-choice", *answered) == {"video-choice": 1.0}
    assert values("video-choice", *answered, by="letter") == {"video-choice": 0.0}


def test_a_pair_is_right_if_both_are() -> None:
    found = values(
        "video-pairs",
        said("left", "left", pair="1", group="direction"),
        said("right", "right", pair="1", group="direction"),
        said("left", "left", pair="2", group="direction"),
        said("right", "left", pair="2", group="direction"),
        said("red", "blue"),
    )
    assert found == {"video-pairs": 0.5, "video-pairs_direction": 0.5}


@pytest.mark.parametrize("name", ["video-choice", "video-pairs"])
def test_without_what_they_count_there_is_no_value(name: str) -> None:
    with pytest.raises(GraftworkError, match=f"metric.{name}: no record"):
        values(name, said("red", "red"))
