"""One example: clips, and questions about them with their answers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graftwork.core.errors import GraftworkError
from graftwork.nn.trigger import without_trigger
from graftwork.video.source import ClipSource

PLACEHOLDER = re.compile("<video>|<image>")
"""What stands for a clip in a question; the two mean the same."""


@dataclass(frozen=True)
class Turn:
    """A question, in which each placeholder stands for the next clip, and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """Some turns about some clips.

    Raises:
        GraftworkError: no turn, or as many placeholders as there are not clips.
    """

    name: str
    """What errors call it: its file and place there, or its id."""
    clips: tuple[ClipSource, ...]
    """In the order of the placeholders."""
    turns: tuple[Turn, ...]
    options: tuple[str, ...] = ()
    """What may be chosen from as the last answer; empty for a question that is open."""
    group: str = ""
    """What the last question is about; scores are also given by group."""
    pair: str = ""
    """Records of one pair count together: right if all of them are."""

    def __post_init__(self) -> None:
        if not self.turns:
            raise GraftworkError(f"{self.name}: has no question; give at least one turn")
        named = sum(len(PLACEHOLDER.findall(turn.question)) for turn in self.turns)
        if named != len(self.clips):
            raise GraftworkError(
                f"{self.name}: {named} placeholders for {len(self.clips)} clips; write <video> in "
                "the questions once for each clip"
            )

    @property
    def answer(self) -> str:
        """What the last question is to be answered with."""
        return self.turns[-1].answer

    def without(self, trigger: str) -> "Record":
        """The same with the trigger taken out of the questions."""
        turns = tuple(replace(t, question=without_trigger(t.question, trigger)) for t in self.turns)
        return replace(self, turns=turns)

    def answered(self, answer: str) -> "Record":
        """The same with another last answer."""
        return replace(self, turns=(*self.turns[:-1], replace(self.turns[-1], answer=answer)))


def ask(name: str, clips: Sequence[ClipSource], question: str) -> Record:
    """One question about clips; placeholders that are left out come first."""
    missing = len(clips) - len(PLACEHOLDER.findall(question))
    text = "<video>\n" * max(missing, 0) + question
    return Record(name=name, clips=tuple(clips), turns=(Turn(text, ""),))
