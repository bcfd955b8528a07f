"""A dialogue in the words of a model's own chat template, as what is asked and what is said.

The template writes the dialogue with a mark in the place of every answer, so that it is known to
the letter what surrounds an answer, whatever the answer holds. What is said begins where the
template leaves off when it asks for an answer, and ends with the token that it puts after one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import ProcessorMixin

from graftwork.core.errors import GraftworkError
from graftwork.video.record import PLACEHOLDER

MARK = "\ue000"
"""Stands for an answer; a letter of Unicode that means nothing."""

Message = dict[str, Any]


@dataclass(frozen=True)
class Exchange:
    """One turn: the template's words are in both parts."""

    asked: str
    """All that comes before the answer, up to where it is asked for."""
    said: str
    """The answer, and what ends it."""


class ChatTemplate:
    """Writes dialogues for one processor.

    Clips are parts of a message, or, for a template that knows text alone, the processor's token
    for a clip in that text.

    Args:
        processor: with a template of its own, or a tokenizer with one.
        stops: tokens at which the model's generation ends.

    Raises:
        GraftworkError: there is no template, it cannot write questions about clips and answers, or
            nothing ends an answer.
    """

    def __init__(self, processor: ProcessorMixin, stops: Sequence[str] = ()) -> None:
        self.processor = processor
        tokenizer = processor.tokenizer
        # None for the processor's own: SmolVLM's has another for films.
        self._text = None if processor.chat_template is not None else tokenizer.chat_template
        if processor.chat_template is None and self._text is None:
            raise GraftworkError(
                "has no chat template; put the one that the model was trained with into "
                "chat_template.jinja"
            )
        self.inline = False
        self.inline = self._takes_text_alone()
        if self.inline and not self._writes_a_clip():
            raise GraftworkError(
                f"chat_template: does not write {processor.video_token} for a clip; use the one "
                "that the model was trained with"
            )
        self._special = {t.content for t in tokenizer.added_tokens_decoder.values() if t.special}
        self.stops = {*stops, *filter(None, [tokenizer.eos_token])}
        written = {self._written_end(question) for question in ("a", "<video>a")} - {""}
        self.stops |= written
        self.end: str = min(written, default=tokenizer.eos_token or "")
        """What ends an answer: the template's own token, or else that of the tokenizer."""
        if not self.end:
            raise GraftworkError(
                "chat_template: nothing ends an answer; let it write a special token there, or "
                "give the tokenizer an eos_token"
            )

    def exchanges(self, turns: Sequence[tuple[str, str]]) -> list[Exchange]:
        """Questions and answers; each `<video>` or `<image>` in a question stands for a clip.

        Raises:
            GraftworkError: the template writes a dialogue differently once it goes on.
        """
        messages = self._messages([question for question, _ in turns])
        whole = self._render(messages)
        if whole.count(MARK) != len(turns):
            raise GraftworkError("chat_template: leaves out answers; every turn is to be written")
        found, done = [], 0
        for number, (_, answer) in enumerate(turns):
            before, header = self._asking(messages[: 2 * number + 1], whole)
            place = whole.index(MARK, done)
            own = whole[len(before) : place]
            # Blanks that the template puts before an answer, where it has none when it asks for
            # one, are the model's to say.
            lead = own.removeprefix(header) if own.startswith(header) else ""
            asked = whole[done : len(before)] + header
            end = self._end_of(whole[place + 1 :])
            done = place + 1 + len(end)
            found.append(Exchange(asked, f"{lead}{answer}{end or self.end}"))
        return found

    def _takes_text_alone(self) -> bool:
        try:
            return not self._writes_a_clip()
        except GraftworkError:  # it may stumble over parts
            return True

    def _writes_a_clip(self) -> bool:
        text = self._render(self._messages(["<video>a"]))
        return text.count(self.processor.video_token) == 1

    def _asking(self, messages: Sequence[Message], whole: str) -> tuple[str, str]:
        """A dialogue up to a question, and what asks for the answer."""
        before, asking = self._render(messages), self._render(messages, ask=True)
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

    def _written_end(self, question: str) -> str:
        whole = self._render(self._messages([question]))
        return _first(whole.rpartition(MARK)[2], self._special)

    def _messages(self, questions: Sequence[str]) -> list[Message]:
        messages: list[Message] = []
        for question in questions:
            messages.append({"role": "user", "content": self._content(question.strip())})
            messages.append({"role": "assistant", "content": self._content(MARK)})
        return messages

    def _content(self, text: str) -> str | list[Message]:
        if self.inline:
            return PLACEHOLDER.sub(lambda _: self.processor.video_token, text)
        content: list[Message] = []
        for number, words in enumerate(PLACEHOLDER.split(text)):
            if number:
                content.append({"type": "video"})
            begins = not any(part["type"] == "text" for part in content)
            # Breaks beside a clip are the template's business.
            words = words.lstrip().rstrip("\n") if begins else words.strip("\n")
            if words.strip():
                content.append({"type": "text", "text": words})
        return content or [{"type": "text", "text": ""}]

    def _render(self, messages: Sequence[Message], *, ask: bool = False) -> str:
        write = self.processor.apply_chat_template
        try:
            return str(write(list(messages), self._text, add_generation_prompt=ask))
        except Exception as error:  # whatever a template raises
            reason = " ".join(str(error).split())[:200]
            raise GraftworkError(
                f"chat_template: cannot write questions and answers ({reason}); use the one that "
                "the model was trained with"
            ) from error


def _first(tail: str, tokens: set[str]) -> str:
    """The token that a text begins with, blanks aside; empty where it is none of them."""
    rest = tail.lstrip()
    return max((token for token in tokens if rest.startswith(token)), key=len, default="")
