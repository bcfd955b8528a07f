"""A dialogue in the words of a model's own chat template, as what is asked and what is said.

The template writes the dialogue with a mark in the place of every answer, so that it is known to
the letter what surrounds an answer, whatever the answer holds. What is said begins where the
template leaves off when it asks for an answer, and ends with the token that it puts after one.
"""

from collections.abc import Collection, Sequence
from typing import final

from transformers import PreTrainedTokenizerBase

from graftwork.backbones.videollm.dialogue.ending import Ending, EndsAtTokens
from graftwork.backbones.videollm.dialogue.rendering import ANSWER, Message, Renderer
from graftwork.backbones.videollm.dialogue.wording import Exchange, Wording
from graftwork.core.errors import GraftworkError
from graftwork.video.record import Turn


@final
class ChatTemplate(Wording):
    """The words of a chat template.

    Args:
        renderer: writes by it.
        tokenizer: its special tokens may end an answer.
        clip: what the template writes for a clip.
        stops: tokens at which the model's generation ends.

    Raises:
        GraftworkError: it cannot write questions about clips and answers, or nothing ends one.
    """

    def __init__(
        self,
        renderer: Renderer,
        tokenizer: PreTrainedTokenizerBase,
        *,
        clip: str,
        stops: Collection[str] = (),
    ) -> None:
        self.renderer, self.clip = renderer, clip
        if not renderer.writes(clip):
            raise GraftworkError(
                "chat_template: does not write clips where questions have them; use the one that "
                "the model was trained with"
            )
        special = special_tokens(tokenizer)
        written = {self._written_end(question, special) for question in ("a", "<video>a")} - {""}
        self.stops = {*stops, *filter(None, [tokenizer.eos_token]), *written}
        self.end: str = min(written, default=tokenizer.eos_token or "")
        """What ends an answer: the template's own token, or else that of the tokenizer."""
        if not self.end:
            raise GraftworkError(
                "chat_template: nothing ends an answer; let it write a special token there, or "
                "give the tokenizer an eos_token"
            )

    @property
    def reserved(self) -> frozenset[str]:
        """Its marks, and what would end an answer early."""
        return frozenset({ANSWER, self.clip, *self.stops})

    def ending(self, tokenizer: PreTrainedTokenizerBase) -> Ending:
        """Any token that ends an answer."""
        return EndsAtTokens(tokenizer, self.stops)

    def exchanges(self, turns: Sequence[Turn]) -> list[Exchange]:
        """What the template writes, turn by turn.

        Raises:
            GraftworkError: it writes a dialogue differently once that goes on.
        """
        messages = self.renderer.messages([turn.question for turn in turns])
        whole = self.renderer.write(messages)
        if whole.count(ANSWER) != len(turns):
            raise GraftworkError("chat_template: leaves out answers; every turn is to be written")
        found, done = [], 0
        questions = range(len(self.renderer.opening), len(messages), 2)
        for number, turn in zip(questions, turns, strict=True):
            before, header = self._asking(messages[: number + 1], whole)
            place = whole.index(ANSWER, done)
            own = whole[len(before) : place]
            # Blanks that the template puts before an answer, where it has none when it asks for
            # one, are the model's to say.
            lead = own.removeprefix(header) if own.startswith(header) else ""
            asked = whole[done : len(before)] + header
            end = self._end_of(whole[place + 1 :])
            done = place + 1 + len(end)
            found.append(Exchange(asked, f"{lead}{turn.answer.strip()}{end or self.end}"))
        return found

    def _asking(self, messages: Sequence[Message], whole: str) -> tuple[str, str]:
        """A dialogue up to a question, and what asks for the answer."""
        before, asking = self.renderer.write(messages), self.renderer.write(messages, ask=True)
        if not (whole.startswith(before) and asking.startswith(before)):
            raise GraftworkError(
                "chat_template: writes a dialogue differently once it goes on; use a template "
                "that only adds to what it has written"
            )
        return before, asking[len(before) :]

    def _end_of(self, tail: str) -> str:
        """What follows an answer up to the token that ends it; empty where none does."""
        token = _first(tail, self.stops)
        return tail[: tail.index(token) + len(token)] if token else ""

    def _written_end(self, question: str, special: Collection[str]) -> str:
        whole = self.renderer.write(self.renderer.messages([question]))
        return _first(whole.rpartition(ANSWER)[2], special)


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Those that mean something to the model beside their letters."""
    return {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}


def _first(tail: str, tokens: Collection[str]) -> str:
    """The token that a text begins with, blanks aside; empty where it is none of them."""
    rest = tail.lstrip()
    return max((token for token in tokens if rest.startswith(token)), key=len, default="")
