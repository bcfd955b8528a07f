"""What one training step of a video LLM hands to its losses."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class AnswerStep:
    """The tokens of a batch's answers, and what the backbone thinks of each.

    Only tokens of answers, and what ends them, are here; questions, clips and padding are not.
    Logits are those that predict the token of the same row. The fields that no loss asked for
    (`Loss.needs`) are None; `frozen_free` carries no gradient.
    """

    targets: Int[Tensor, "tokens"]
    """The tokens of all answers."""
    logits: Float[Tensor, "tokens vocabulary"] | None = None
    """Of the adapted backbone; asked for as "prediction"."""
    adapted_free: Float[Tensor, "free vocabulary"] | None = None
    """Of the adapted backbone on the frozen one's own answers to questions without the trigger;
    asked for as "free"."""
    frozen_free: Float[Tensor, "free vocabulary"] | None = None
    """Of the frozen backbone on the same."""
