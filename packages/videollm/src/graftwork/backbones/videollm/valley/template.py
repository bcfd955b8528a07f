"""Valley's own words around questions and answers.

A dialogue reads

    {system}

    ### Human: {question}
    ### Assistant: {answer}
    ### Human: ...
    ### Assistant: {answer}
    ###

as the released model was trained (Luo et al. 2023, arXiv:2306.07207, section 3.3). What ends an
answer is the mark that begins the next turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from transformers import PreTrainedTokenizerBase

from graftwork.backbones.videollm.dialogue.ending import Ending, EndsAtText
from graftwork.backbones.videollm.dialogue.wording import Exchange, Wording
from graftwork.video.record import PLACEHOLDER, Turn

CLIP = "\ue001"
"""Stands for a clip; a letter of Unicode that means nothing."""


@final
@dataclass(frozen=True, kw_only=True)
class Template(Wording):
    """The words of one template."""

    system: str
    """What the dialogue opens with; empty for none."""

    human: str = " Human: "
    """Before a question, after the mark."""

    assistant: str = " Assistant:"
    """Before an answer, after the mark."""

    stop: str = "###"
    """The mark: it begins each turn, and an answer ends where it comes next."""

    clip = CLIP

    @property
    def reserved(self) -> frozenset[str]:
        """The mark of a clip."""
        return frozenset({self.clip})

    def ending(self, tokenizer: PreTrainedTokenizerBase) -> Ending:
        """At the mark; an answer may have begun with its role."""
        return EndsAtText(tokenizer, self.stop, role=self.assistant.strip())

    def exchanges(self, turns: Sequence[Turn]) -> list[Exchange]:
        """The first turn holds what the dialogue opens with."""
        opening = f"{self.system}\n\n{self.stop}" if self.system else self.stop
        found = []
        for turn in turns:
            question = PLACEHOLDER.sub(self.clip, turn.question)
            asked = f"{opening}{self.human}{question}\n{self.stop}{self.assistant}"
            found.append(Exchange(asked, f" {turn.answer}\n{self.stop}"))
            opening = ""
        return found


V1 = Template(
    system="A curious human talks with an assistant, an artificial intelligence, which answers "
    "the human's questions helpfully, politely and in detail."
)
"""The layout of the release's "v1". Its system line is of the same kind but in other words; who
wants the released model to read exactly what it was trained on writes that line into the `system`
of its configuration."""


def template_of(system: str | None) -> Template:
    """The released layout with a model's own opening line, or the default one."""
    return V1 if system is None else replace(V1, system=system)
