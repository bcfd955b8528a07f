"""Contrastive Adapter Training: keep what the backbone knew."""

from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from graftwork.core.config import Gt, config
from graftwork.core.errors import GraftworkError
from graftwork.losses.squared_error import squared_error
from graftwork.nn.denoising import DenoisingStep
from graftwork.nn.loss import Loss


@config
class CATConfig:
    """Settings of the CAT loss."""

    min_snr_gamma: Annotated[float, Gt(0)] | None = None
    """Cap on the signal-to-noise ratio in the weight of each timestep; set it as in the
    denoising loss, absent for equal weights."""


class CAT(Loss):
    """mean || f_adapted(z_t, t, c_free) - f_frozen(z_t, t, c_free) ||^2.

    c_free is the training caption without the trigger; z_t and t are those of the denoising
    loss, beside which this one stands (Park et al. 2024, arXiv:2404.07554). The frozen
    prediction is a target: no gradient flows into it. The term is zero, and so is its gradient,
    as long as the adapter changes nothing; it is small against the denoising error, so weights
    far above 1 are common.
    """

    needs = frozenset({"free"})
    settings: CATConfig

    def __call__(self, step: DenoisingStep) -> Float[Tensor, ""]:
        """The loss of one step.

        Raises:
            GraftworkError: the data has no captions without the trigger.
        """
        adapted, frozen = step.adapted_free, step.frozen_free
        if adapted is None or frozen is None:
            raise GraftworkError(
                "loss.cat: the data has no captions without a trigger; set 'trigger' in [data]"
            )
        return squared_error(step, adapted, frozen.detach(), gamma=self.settings.min_snr_gamma)
