"""What one training step of a raw-video denoiser hands to its losses."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.raw.noise_model import Noise
from graftwork.raw.sensor import Sensor


@dataclass(frozen=True, kw_only=True)
class RestorationStep:
    """A batch of noisy clips, and what the backbone makes of them.

    All are packed planes with black at 0 and white at 1. The fields that no loss asked for
    (`Loss.needs`) are None; those called `frozen_...` carry no gradient.
    """

    sensor: Sensor
    """Where the clips are from."""
    noise: Sequence[Noise]
    """What each clip of the batch was taken with."""
    noisy: Float[Tensor, "batch time 4 height width"]
    """The input, negatives kept."""
    truth: Float[Tensor, "batch time 4 height width"] | None = None
    """What it shows; None where nobody knows."""
    prediction: Float[Tensor, "batch time 4 height width"] | None = None
    """The adapted backbone's answer; asked for as "prediction"."""
    half: Float[Tensor, "batch time 4 half_height half_width"] | None = None
    """f(g₁(y)): its answer to one of two neighbouring sub-images; asked for as "neighbours"."""
    frozen_half: Float[Tensor, "batch time 4 half_height half_width"] | None = None
    """g₂(y): the other sub-image of the noisy input."""
    frozen_gap: Float[Tensor, "batch time 4 half_height half_width"] | None = None
    """g₁(f(y)) − g₂(f(y)): how much the two differ in the answer to the whole."""

    @property
    def target(self) -> Float[Tensor, "batch time 4 height width"]:
        """The truth.

        Raises:
            GraftworkError: there is none.
        """
        if self.truth is None:
            raise GraftworkError(
                "loss: compares with the truth, and the data has none; use a loss such as "
                "neighbor2neighbor, or give data with truth"
            )
        return self.truth
