"""The loss that a diffusion model is trained with."""

from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from graftwork.core.config import Gt, config
from graftwork.losses.squared_error import squared_error
from graftwork.nn.denoising import DenoisingStep
from graftwork.nn.loss import Loss


@config
class DenoisingConfig:
    """Settings of the denoising loss."""

    min_snr_gamma: Annotated[float, Gt(0)] | None = None
    """Cap on the signal-to-noise ratio in the weight of each timestep (the paper's gamma is 5);
    absent for equal weights."""


class Denoising(Loss):
    """mean || f(z_t, t, c) - target ||^2  (Ho et al. 2020, arXiv:2006.11239).

    The target is what the backbone was trained to predict: eps, x_0, or
    v = sqrt(abar) eps - sqrt(1 - abar) x_0 (Salimans and Ho 2022, arXiv:2202.00512). With
    `min_snr_gamma`, each example is weighed as in Hang et al. 2023 (arXiv:2303.09556). The squares
    are weighed by the masks of the data, if it has some.
    """

    needs = frozenset({"prediction"})
    settings: DenoisingConfig

    def __call__(self, step: DenoisingStep) -> Float[Tensor, ""]:
        """The loss of one step. ValueError if the backbone made no prediction."""
        if step.prediction is None:
            raise ValueError("no prediction in the step; Backbone.step must give what `needs` asks")
        gamma, weight = self.settings.min_snr_gamma, step.weight
        return squared_error(step, step.prediction, step.target, gamma=gamma, weight=weight)
