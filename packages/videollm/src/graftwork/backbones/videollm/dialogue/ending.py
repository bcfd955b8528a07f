"""Where an answer ends: at certain tokens, or at a text, whatever the tokens are that write it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, StoppingCriteria


class Ending(ABC):
    """How the end of an answer is known."""

    text: str = ""
    """The text that ends one; empty where a token does."""
    role: str = ""
    """What a model may write before its answer, and is no part of it."""

    @abstractmethod
    def settings(self, start: int) -> dict[str, Any]:
        """What `generate` is told of the end of answers that begin at token `start`."""

    def answer_in(self, text: str) -> str:
        """The answer alone in what was generated."""
        own = text.split(self.text, 1)[0] if self.text else text
        return own.strip().removeprefix(self.role).strip()


@final
class EndsAtTokens(Ending):
    """An answer ends with one of several tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, tokens: Iterable[str]) -> None:
        self.ids: list[int] = tokenizer.convert_tokens_to_ids(sorted(tokens))

    def settings(self, start: int) -> dict[str, Any]:
        """Their ids."""
        return {"eos_token_id": self.ids}


@final
class EndsAtText(Ending):
    """An answer ends where a text comes, or with the model's own last token."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, text: str, *, role: str = "") -> None:
        self.tokenizer, self.text, self.role = tokenizer, text, role

    def settings(self, start: int) -> dict[str, Any]:
        """A criterion that reads what is written."""
        return {"stopping_criteria": [StopAt(self.tokenizer, self.text, start=start)]}


class StopAt(StoppingCriteria):
    """True for the rows whose last tokens have written the stop.

    transformers has `stop_strings`, which needs a tokenizer that can write any letters.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: str, *, start: int) -> None:
        """Nothing before token `start` counts."""
        self.tokenizer, self.stop, self.start = tokenizer, stop, start

    def __call__(
        self, input_ids: Int[Tensor, "batch length"], scores: Any, **kwargs: Any
    ) -> Bool[Tensor, "batch"]:
        """Whether each row has come to its end."""
        # A token writes a letter of the stop at least, or belongs to the one before it.
        first = max(self.start, input_ids.shape[1] - 2 * len(self.stop))
        texts = self.tokenizer.batch_decode(input_ids[:, first:])
        return torch.tensor([self.stop in text for text in texts], device=input_ids.device)


def generation_stops(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Tokens at which the model's own generation ends."""
    ids = getattr(model.generation_config, "eos_token_id", None)
    found = ids if isinstance(ids, list) else [ids]
    tokens = tokenizer.convert_ids_to_tokens([each for each in found if each is not None])
    return [token for token in tokens if token is not None]
