"""Textual inversion: a word whose vectors are learned."""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.core.config import Ge, Search, config
from graftwork.core.errors import GraftworkError
from graftwork.nn import Site, TokenAdapter
from graftwork.nn.adapter import Placeholder


@config
class TextualInversionConfig:
    """Settings of a learned word."""

    placeholder: str = ""
    """The word that stands for the vectors in prompts; empty in a run file for the data's
    trigger."""

    vectors: Annotated[int, Ge(1), Search(1, 8)] = 1
    """How many vectors stand in the word's place. Each takes one of the prompt's tokens."""

    initial: str = ""
    """Words to start from, such as "cat"; empty for random vectors as long as the embedding's are
    on average."""

    def __post_init__(self) -> None:
        if len(self.placeholder.split()) > 1:
            raise ValueError(f"placeholder: {self.placeholder!r} is several words; write one")


class TextualInversion(TokenAdapter):
    """The placeholder is embedded as v_1 .. v_n, which alone train  (Gal et al. 2023,
    arXiv:2208.01618, there with n = 1).

    v_i starts as the embedding of token floor(i m / n) of the m tokens of `initial`.
    """

    def __init__(self, site: Site, settings: TextualInversionConfig) -> None:
        super().__init__(site)
        self.settings = settings
        require_placeholder(settings)
        self.learned = nn.Parameter(torch.randn(settings.vectors, site.rows))
        """v_1 .. v_n."""

    def placeholders(self) -> tuple[Placeholder, ...]:
        """The one word."""
        chosen = self.settings
        return (
            Placeholder(word=chosen.placeholder, vectors=chosen.vectors, initial=chosen.initial),
        )

    @torch.no_grad()
    def start(self, weight: Float[Tensor, "dims vocabulary"]) -> None:
        """The vectors of the initial words, or random ones of the embedding's mean length."""
        (word,) = self.placeholders()
        ids = self.initial_ids.get(word.word, ())
        self.learned.copy_(starting(self.learned, weight, ids))

    def vectors(self) -> Float[Tensor, "tokens dims"]:
        """v_1 .. v_n."""
        return self.learned


def require_placeholder(settings: TextualInversionConfig) -> None:
    """Raise `GraftworkError` when no word stands for the vectors."""
    if not settings.placeholder.strip():
        raise GraftworkError(
            "adapter.placeholder: is empty; write the word that is to stand for the vectors, or "
            "give the data a trigger"
        )


def starting(
    noise: Float[Tensor, "tokens dims"],
    weight: Float[Tensor, "dims vocabulary"],
    ids: Sequence[int],
) -> Float[Tensor, "tokens dims"]:
    """The vectors of `ids`, dealt out; without ids the noise, scaled to the mean length."""
    if ids:
        return dealt(weight[:, list(ids)].T, len(noise))
    return noise * (weight.norm(dim=0).mean() / math.sqrt(len(weight)))


def dealt(rows: Float[Tensor, "given dims"], count: int) -> Float[Tensor, "tokens dims"]:
    """`count` rows: the one of number i is row floor(i m / count) of the m given."""
    return rows[torch.arange(count) * len(rows) // count]
