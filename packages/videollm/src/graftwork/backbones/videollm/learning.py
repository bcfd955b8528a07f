"""Training steps on the answers of records."""

from collections.abc import Sequence
from dataclasses import replace
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graftwork.backbones.videollm.answering import Answering
from graftwork.backbones.videollm.examples import Examples
from graftwork.backbones.videollm.predicting import predicted
from graftwork.backbones.videollm.prompt import Prompt
from graftwork.backbones.videollm.settings import TinyChatSettings
from graftwork.nn import frozen
from graftwork.video.chat import Decoding
from graftwork.video.record import Record
from graftwork.video.step import AnswerStep


@final
class Learning:
    """What a training step computes.

    Args:
        answering: the model, for answers of its own that are to be kept.
        settings: how it computes, and how long those answers are.
    """

    def __init__(self, answering: Answering, settings: TinyChatSettings) -> None:
        self.answering, self.settings = answering, settings
        self.seeing, self.llm = answering.seeing, answering.llm
        self._said: dict[Record, str] = {}

    def prompt(self, record: Record) -> Prompt:
        """A record with its answers, to learn from."""
        return self.llm.write(record, self.seeing.of(record), answered=True)

    def step(
        self, examples: Examples, indices: Sequence[int], *, needs: frozenset[str]
    ) -> AnswerStep:
        """Read records `indices`, and compute what `needs` asks for of their answers."""
        records, prompts = zip(*(self._example(examples, k) for k in indices), strict=True)
        logits = None
        if "prediction" in needs:
            targets, logits = self._predicted(prompts)
        else:
            targets = self.llm.rows(prompts, left=False).targets()
        free: dict[str, Tensor | None] = {}
        frees = [examples.data.free_of(record) for record in records]
        if "free" in needs and all(record is not None for record in frees):
            kept = [self.prompt(self._own_answer(r)) for r in frees if r is not None]
            with torch.no_grad(), frozen(self.llm.module):
                free["frozen_free"] = self._predicted(kept)[1]
            free["adapted_free"] = self._predicted(kept)[1]
        return AnswerStep(targets=targets, logits=logits, **free)

    def _predicted(
        self, prompts: Sequence[Prompt]
    ) -> tuple[Int[Tensor, "tokens"], Float[Tensor, "tokens vocabulary"]]:
        return predicted(self.llm, prompts, checkpointing=self.settings.gradient_checkpointing)

    def _example(self, examples: Examples, index: int) -> tuple[Record, Prompt]:
        record, prompt = examples.get(index, self.prompt)
        return record, replace(prompt, seen=self.seeing.of(record))

    def _own_answer(self, record: Record) -> Record:
        """A record with what the frozen model says to its last question."""
        if record not in self._said:
            with frozen(self.llm.module):
                decoding = Decoding(tokens=self.settings.free_tokens)
                self._said[record] = self.answering.answers([record], decoding)[0]
        return record.answered(self._said[record])
