"""Records answered."""

from collections.abc import Iterator, Sequence
from typing import final

import torch

from graftwork.backbones.videollm.generating import generate, stream
from graftwork.backbones.videollm.predicting import predicted
from graftwork.backbones.videollm.prompt import Prompt
from graftwork.backbones.videollm.seeing import Seeing
from graftwork.video.chat import Decoding
from graftwork.video.record import Record

_BATCH = 16
"""Records that are answered at once."""


@final
class Answering:
    """What a model says to the last questions of records, and how likely their options are."""

    def __init__(self, seeing: Seeing) -> None:
        self.seeing, self.llm = seeing, seeing.llm

    def answers(self, records: Sequence[Record], decoding: Decoding) -> Sequence[str]:
        """Batches of records of like length; drawn answers one by one, each from its seed."""
        prompts = [self._asked(record) for record in records]
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        size = _BATCH if decoding.temperature == 0 else 1
        said: dict[int, str] = {}
        for start in range(0, len(order), size):
            places = order[start : start + size]
            found = generate(self.llm, [prompts[place] for place in places], decoding)
            said |= dict(zip(places, found, strict=True))
        return [said[place] for place in range(len(prompts))]

    def stream(self, record: Record, decoding: Decoding) -> Iterator[str]:
        """One answer in pieces, as they come."""
        return stream(self.llm, self._asked(record), decoding)

    @torch.no_grad()
    def likelihoods(self, record: Record) -> Sequence[float]:
        """Of each option's tokens and of what ends it."""
        seen = self.seeing.of(record)
        found = []
        for option in record.options:
            last = self.llm.write(record.answered(option), seen, answered=True).only_last()
            targets, logits = predicted(self.llm, [last])
            chosen = logits.float().log_softmax(-1).gather(1, targets[:, None])
            found.append(float(chosen.mean()))
        return found

    @torch.no_grad()
    def _asked(self, record: Record) -> Prompt:
        return self.llm.write(record, self.seeing.of(record), answered=False)
