"""What one training step of an image classifier hands to its losses."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class LabelStep:
    """A batch of labelled images, and what the adapted and the frozen backbone make of them.

    The fields that no loss asked for (`Loss.needs`) are None; `frozen_features` carries no
    gradient.
    """

    labels: Int[Tensor, "batch"]
    indices: Int[Tensor, "batch"]
    """Which examples of the training set they are."""
    examples: int
    """How many examples the training set has."""
    logits: Float[Tensor, "batch classes"] | None = None
    """Of the adapted backbone; asked for as "prediction"."""
    features: Float[Tensor, "batch dims"] | None = None
    """Z: what the classifier is given, after a head has changed it; asked for as "features"."""
    frozen_features: Float[Tensor, "batch frozen_dims"] | None = None
    """F: the pooled features of the frozen backbone."""
