"""DreamArtist: a learned word and a learned word against it."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.adapters.textual_inversion import (
    TextualInversionConfig,
    dealt,
    require_placeholder,
    starting,
)
from graftwork.core.config import Ge, Search, config
from graftwork.nn import Site, TokenAdapter
from graftwork.nn.adapter import Placeholder

_APART = 1e-3  # the authors' code; without it, equal words would start as one


@config
class DreamArtistConfig(TextualInversionConfig):
    """Settings of a learned pair of words."""

    vectors: Annotated[int, Ge(1), Search(1, 8)] = 3
    """How many vectors stand in the positive word's place."""

    negative_vectors: Annotated[int, Ge(1), Search(1, 10)] = 6
    """How many vectors stand in the negative word's place."""

    negative_initial: str = ""
    """Words that the negative word starts from; empty for those of `initial`."""


class DreamArtist(TokenAdapter):
    """Two learned words: S in the prompt, S-neg in its place in the negative prompt
    (Dong et al. 2022, arXiv:2211.11337).

    They train by what guidance makes of the two, eps_neg + gamma (eps_pos - eps_neg): the loss
    "dreamartist". Both start as textual inversion does; the negative one moves off by noise of
    1e-3 (the authors' code). With no initial words, S-neg starts from the vectors of S, dealt out
    by the same rule (our reading, after the code's one initial text for both).
    """

    def __init__(self, site: Site, settings: DreamArtistConfig) -> None:
        super().__init__(site)
        self.settings = settings
        require_placeholder(settings)
        self.positive = nn.Parameter(torch.randn(settings.vectors, site.rows))
        """The vectors of S."""
        self.negative = nn.Parameter(torch.randn(settings.negative_vectors, site.rows))
        """The vectors of S-neg."""

    def placeholders(self) -> tuple[Placeholder, Placeholder]:
        """S and S-neg."""
        chosen = self.settings
        positive = Placeholder(
            word=chosen.placeholder, vectors=chosen.vectors, initial=chosen.initial
        )
        negative = Placeholder(
            word=f"{chosen.placeholder}-neg",
            vectors=chosen.negative_vectors,
            initial=chosen.negative_initial or chosen.initial,
            opposes=chosen.placeholder,
        )
        return positive, negative

    @torch.no_grad()
    def start(self, weight: Float[Tensor, "dims vocabulary"]) -> None:
        """Both from their initial words, the negative vectors 1e-3 away."""
        positive, negative = (self.initial_ids.get(p.word, ()) for p in self.placeholders())
        noise = _APART * self.negative
        self.positive.copy_(starting(self.positive, weight, positive))
        self.negative.copy_(
            starting(self.negative, weight, negative)
            if negative
            else dealt(self.positive, len(noise))
        ).add_(noise)

    def vectors(self) -> Float[Tensor, "tokens dims"]:
        """Those of S, then those of S-neg."""
        return torch.cat([self.positive, self.negative])
