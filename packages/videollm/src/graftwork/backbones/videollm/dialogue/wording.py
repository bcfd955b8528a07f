"""How a dialogue is put in words."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from graftwork.backbones.videollm.dialogue.ending import Ending
from graftwork.video.record import Turn


@dataclass(frozen=True)
class Exchange:
    """One turn: the template's words are in both parts."""

    asked: str
    """All that comes before the answer, up to where it is asked for."""
    said: str
    """The answer, and what ends it."""


class Wording(ABC):
    """The words around questions and answers."""

    clip: str
    """What is written for a clip, until the text of that clip is put in its place."""

    @property
    @abstractmethod
    def reserved(self) -> frozenset[str]:
        """Texts that mean something else to the model, so that nobody's words may hold them."""

    @abstractmethod
    def ending(self, tokenizer: PreTrainedTokenizerBase) -> Ending:
        """How the end of an answer is known."""

    @abstractmethod
    def exchanges(self, turns: Sequence[Turn]) -> list[Exchange]:
        """The turns; each `<video>` or `<image>` in a question stands for a clip.

        Raises:
            GraftworkError: such a dialogue cannot be written.
        """
