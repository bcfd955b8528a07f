"""What one training step of a diffusion backbone hands to its losses.

Notation (Ho et al. 2020, arXiv:2006.11239; Salimans and Ho 2022, arXiv:2202.00512):
z_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, and v = sqrt(abar_t) eps - sqrt(1 - abar_t) x_0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

PredictionType = Literal["epsilon", "v_prediction", "sample"]


@dataclass(frozen=True, kw_only=True)
class DenoisingStep:
    """One noised batch, and what the backbone predicts for it.

    The fields that no loss asked for (`Loss.needs`) are None.
    """

    prediction_type: PredictionType
    clean: Float[Tensor, "batch channels height width"]
    """x_0: the images, or their latents."""
    noise: Float[Tensor, "batch channels height width"]
    """eps, standard normal."""
    alpha_bar: Float[Tensor, "batch"]
    """abar_t, the signal's share of the variance at each example's timestep."""
    weight: Float[Tensor, "batch 1 height width"] | None = None
    """How much each place counts in what the adapted backbone is trained to predict, by the masks
    of the data; None for everywhere once."""
    time: Float[Tensor, "batch"] | None = None
    """t / (T - 1): 0 at the first timestep, 1 at the last."""
    decode: Callable[[Tensor], Tensor] | None = None
    """From x_0 to pictures in -1..1, with gradients; None where x_0 are the pictures."""
    prediction: Float[Tensor, "batch channels height width"] | None = None
    """The adapted backbone under the training captions."""
    negative: Float[Tensor, "batch channels height width"] | None = None
    """The adapted backbone under the negative captions of learned pairs of words, same z_t and t;
    the empty caption where a caption holds no such word."""
    adapted_free: Float[Tensor, "batch channels height width"] | None = None
    """The adapted backbone under the captions without the trigger, same z_t and t."""
    frozen_free: Float[Tensor, "batch channels height width"] | None = None
    """The frozen backbone under the captions without the trigger; carries no gradient."""

    @property
    def signal(self) -> Float[Tensor, "batch 1 1 1"]:
        """sqrt(abar_t), shaped to broadcast over an image."""
        return self.alpha_bar.sqrt().view(-1, 1, 1, 1)

    @property
    def spread(self) -> Float[Tensor, "batch 1 1 1"]:
        """sqrt(1 - abar_t), shaped to broadcast over an image."""
        return (1 - self.alpha_bar).sqrt().view(-1, 1, 1, 1)

    @property
    def noisy(self) -> Float[Tensor, "batch channels height width"]:
        """z_t, the input of the backbone."""
        return self.signal * self.clean + self.spread * self.noise

    @property
    def target(self) -> Float[Tensor, "batch channels height width"]:
        """What the backbone was trained to predict."""
        if self.prediction_type == "epsilon":
            return self.noise
        if self.prediction_type == "sample":
            return self.clean
        return self.signal * self.noise - self.spread * self.clean

    def clean_from(
        self, prediction: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """The x_0 that a prediction stands for, given z_t."""
        if self.prediction_type == "sample":
            return prediction
        if self.prediction_type == "epsilon":
            return (self.noisy - self.spread * prediction) / self.signal
        return self.signal * self.noisy - self.spread * prediction

    @property
    def snr(self) -> Float[Tensor, "batch"]:
        """Signal-to-noise ratio abar_t / (1 - abar_t)."""
        return self.alpha_bar / (1 - self.alpha_bar)
