"""Ending an answer at a text, whatever the tokens are that write it."""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase, StoppingCriteria


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
