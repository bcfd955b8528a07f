"""Questions as messages, and messages as a chat template of transformers writes them."""

from collections.abc import Callable, Sequence
from typing import Any, final

from graftwork.core.errors import GraftworkError
from graftwork.video.record import PLACEHOLDER

ANSWER = "\ue000"
"""Stands for an answer; a letter of Unicode that means nothing."""

Message = dict[str, Any]
Content = Callable[[str], str | list[Message]]
"""What a message holds of a text with placeholders."""


def in_text(clip: str) -> Content:
    """Text alone, with `clip` in it for each clip."""
    return lambda text: PLACEHOLDER.sub(lambda _: clip, text)


def in_parts(text: str) -> list[Message]:
    """Texts and clips as parts of a message."""
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


@final
class Renderer:
    """Writes dialogues with a mark in the place of every answer.

    Args:
        apply: the template: of messages, and whether to ask for an answer after them.
        content: how clips are told in a message.
        system: what dialogues open with; empty to leave that to the template.
    """

    def __init__(
        self, apply: Callable[[list[Message], bool], str], content: Content, *, system: str = ""
    ) -> None:
        self.apply, self.content = apply, content
        self.opening = [{"role": "system", "content": content(system)}] if system else []

    def messages(self, questions: Sequence[str]) -> list[Message]:
        """Questions, each with its answer, after what the dialogue opens with."""
        messages: list[Message] = list(self.opening)
        for question in questions:
            messages.append({"role": "user", "content": self.content(question.strip())})
            messages.append({"role": "assistant", "content": self.content(ANSWER)})
        return messages

    def write(self, messages: Sequence[Message], *, ask: bool = False) -> str:
        """What the template makes of them.

        Raises:
            GraftworkError: it refuses them.
        """
        try:
            return str(self.apply(list(messages), ask))
        except Exception as error:  # whatever a template raises
            reason = " ".join(str(error).split())[:200]
            raise GraftworkError(
                f"chat_template: cannot write questions and answers ({reason}); use the one that "
                "the model was trained with"
            ) from error

    def writes(self, clip: str) -> bool:
        """Whether a question about a clip holds this once.

        Raises:
            GraftworkError: the template refuses such a question.
        """
        return self.write(self.messages(["<video>a"])).count(clip) == 1
