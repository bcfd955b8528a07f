"""A record as token ids, and several of them as one batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from graftwork.backbones.videollm.seen import Seen


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompt:
    """What is read and what is to be said, in one row of ids."""

    ids: Int[Tensor, "length"]
    """In 32 bits: thousands of prompts are kept."""
    supervised: Bool[Tensor, "length"]
    """Which of them belong to an answer, or end one."""
    seen: Sequence[Seen] = ()
    """What the tower made of its clips, in the order of the placeholders."""

    @classmethod
    def of(cls, ids: list[int], supervised: list[bool], seen: Sequence[Seen] = ()) -> Self:
        """From plain numbers."""
        tokens = torch.tensor(ids, dtype=torch.int32)
        return cls(ids=tokens, supervised=torch.tensor(supervised, dtype=torch.bool), seen=seen)

    def __len__(self) -> int:
        return len(self.ids)

    def only_last(self) -> Self:
        """The same with the last answer alone supervised."""
        end = int(self.supervised.nonzero()[-1])
        asked = int((~self.supervised[:end]).nonzero()[-1])
        only = self.supervised.clone()
        only[:asked] = False
        return replace(self, supervised=only)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Prompts of unequal lengths in one batch."""

    ids: Int[Tensor, "batch length"]
    mask: Int[Tensor, "batch length"]
    """1 for tokens, 0 for padding."""
    supervised: Bool[Tensor, "batch length"]

    def targets(self) -> Int[Tensor, "tokens"]:
        """The supervised tokens, row by row; the first of a row has nothing before it."""
        return self.ids[:, 1:][self.supervised[:, 1:]]

    def predicting(self) -> Bool[Tensor, "batch length"]:
        """The places whose logits predict those tokens."""
        found = torch.zeros_like(self.supervised)
        found[:, :-1] = self.supervised[:, 1:]
        return found


def rows(prompts: Sequence[Prompt], *, padding: int, left: bool, device: torch.device) -> Rows:
    """Prompts padded at their beginning or their end."""
    length = max(map(len, prompts))
    ids = torch.full((len(prompts), length), padding, dtype=torch.long)
    mask = torch.zeros(len(prompts), length, dtype=torch.long)
    supervised = torch.zeros(len(prompts), length, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        own = len(prompt)
        place = slice(length - own, length) if left else slice(0, own)
        ids[row, place] = prompt.ids.long()
        mask[row, place] = 1
        supervised[row, place] = prompt.supervised
    return Rows(ids=ids.to(device), mask=mask.to(device), supervised=supervised.to(device))
