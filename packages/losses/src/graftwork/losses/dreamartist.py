"""DreamArtist: train a pair of words by what guidance makes of them."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.core.config import Ge, Gt, Search, config
from graftwork.core.errors import GraftworkError
from graftwork.losses.guidance import Guidance
from graftwork.losses.squared_error import squared_error
from graftwork.nn.denoising import DenoisingStep
from graftwork.nn.loss import Loss


@config
class DreamArtistLossConfig:
    """Settings of the DreamArtist loss."""

    guidance: Annotated[float | str, Search(1.5, 5.0)] = 3.0
    """gamma, or a range over the timesteps such as "1.5-3:cos" (ln, cos or cos2). At 1 the
    negative word does not train."""

    reconstruction: Annotated[float, Ge(0)] = 0.0
    """Weight of the distance between the pictures of the guided x_0 and of the true one. Costs a
    pass through the decoder, with gradients; the paper's weight is 1."""

    min_snr_gamma: Annotated[float, Gt(0)] | None = None
    """Cap on the signal-to-noise ratio in the weight of each timestep; absent for equal weights.
    DreamArtist++ has 2."""

    def __post_init__(self) -> None:
        if isinstance(self.guidance, int | float) and self.guidance < 0:
            raise ValueError(f"guidance: expected at least 0, got {self.guidance:g}")
        Guidance.parse(self.guidance)


class DreamArtistLoss(Loss):
    """mean || f_hat - target ||^2 with f_hat = f_neg + gamma (f_pos - f_neg)  (Dong et al. 2022,
    arXiv:2211.11337); f_pos is the prediction under the caption, f_neg under the negative one.

    With `reconstruction` w, plus w mean | D(x_hat) - D(x_0) |, where D decodes latents and x_hat
    is the x_0 that f_hat stands for. The squares, not the pictures, are weighed by the masks of the
    data, if it has some (the attention map of the authors' code).

    The paper's f is the noise. Ours may be the velocity or x_0 as well: all three are affine in
    each other at fixed z_t and t, and the weights of f_pos and f_neg add up to one, so the guided
    velocity is that of the guided noise. Also ours: the target of the reconstruction is the
    decoded latent, not the photograph, so that it is zero at the true x_0.
    """

    needs = frozenset({"prediction", "negative"})
    settings: DreamArtistLossConfig

    def __init__(self, settings: DreamArtistLossConfig) -> None:
        super().__init__(settings)
        self.gamma = Guidance.parse(settings.guidance)

    def __call__(self, step: DenoisingStep) -> Float[Tensor, ""]:
        """The loss of one step.

        Raises:
            GraftworkError: the step has no prediction under negative captions, or no timesteps
                for a gamma that depends on them.
        """
        guided = self.guided(step)
        settings = self.settings
        gamma, weight = settings.min_snr_gamma, step.weight
        error = squared_error(step, guided, step.target, gamma=gamma, weight=weight)
        if not settings.reconstruction:
            return error
        return error + settings.reconstruction * reconstruction_error(step, guided)

    def guided(self, step: DenoisingStep) -> Float[Tensor, "batch channels height width"]:
        """f_hat."""
        if step.prediction is None or step.negative is None:
            raise GraftworkError(
                "loss.dreamartist: the backbone predicts nothing under a learned negative word; "
                'choose adapter.kind = "dreamartist"'
            )
        gamma = self._gamma(step).to(step.prediction.dtype).view(-1, 1, 1, 1)
        # So that at gamma = 1 the negative one is out to the bit.
        return gamma * step.prediction + (1 - gamma) * step.negative

    def _gamma(self, step: DenoisingStep) -> Float[Tensor, "batch"]:
        if self.gamma.constant:
            return torch.full_like(step.alpha_bar, self.gamma.low)
        if step.time is None:
            raise GraftworkError(
                "loss.dreamartist.guidance: this backbone tells no timesteps; give one number"
            )
        return self.gamma.at(step.time.to(step.alpha_bar.dtype))


def reconstruction_error(
    step: DenoisingStep, guided: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, ""]:
    """mean | D(x_hat) - D(x_0) |; D is the identity for a backbone of pixels."""
    decode = step.decode or (lambda clean: clean)
    with torch.no_grad():
        wanted = decode(step.clean)
    return (decode(step.clean_from(guided)) - wanted).abs().mean()
