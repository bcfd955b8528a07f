"""How far a restored clip is from its truth."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.core.config import Gt, Search, config
from graftwork.nn.loss import Loss
from graftwork.raw.isp import render
from graftwork.raw.restoration import RestorationStep
from graftwork.raw.stabilising import stabilise

Clips = Float[Tensor, "batch time 4 height width"]


class L1Raw(Loss):
    """mean |x − y| of packed planes with black at 0 and white at 1.

    The first term of RViDeformer's supervised training (Yue et al. 2023, arXiv:2305.00767).
    """

    def __call__(self, step: RestorationStep) -> Float[Tensor, ""]:
        """The mean over batch, frames and pixels."""
        return (predicted(step) - step.target).abs().mean()


class L1SRGB(Loss):
    """mean |ISP(x) − ISP(y)| in sRGB.

    The second term of RViDeformer's supervised training (Yue et al. 2023, arXiv:2305.00767), there
    with weight 0.5 and a trained network as the ISP, whose weights are not free; here the ISP is
    graftwork-isp-1. A pixel that it clips has no gradient.
    """

    def __call__(self, step: RestorationStep) -> Float[Tensor, ""]:
        """The mean over batch, frames, colours and pixels."""
        pattern = step.sensor.pattern
        return (render(predicted(step), pattern) - render(step.target, pattern)).abs().mean()


class L1Stabilised(Loss):
    """mean |f(x) − f(y)| / 16, f the transform after which the noise is 1 everywhere.

    Of a clip's own noise; errors count by how they compare with it, in the dark as in the light.
    The factor, which brings it near the size of the other losses, is ours.
    """

    def __call__(self, step: RestorationStep) -> Float[Tensor, ""]:
        """The mean over batch, frames and pixels."""
        spans = _spans(step)
        gaps = [
            stabilise(one * spans, noise) - stabilise(other * spans, noise)
            for one, other, noise in zip(predicted(step), step.target, step.noise, strict=True)
        ]
        return torch.stack(gaps).abs().mean() / 16


@config
class CharbonnierConfig:
    """Settings of the Charbonnier loss."""

    eps: Annotated[float, Gt(0), Search(1e-4, 1e-2, log=True)] = 1e-3
    """Below this difference the loss is quadratic, above it linear."""


class Charbonnier(Loss):
    """mean √((x − y)² + ε²) − ε (Charbonnier et al. 1994; Lai et al. 2017, arXiv:1704.03915).

    The − ε, which makes it zero at perfection, is ours and leaves the gradient as it is.
    """

    def __init__(self, settings: CharbonnierConfig) -> None:
        super().__init__(settings)
        self.eps = settings.eps

    def __call__(self, step: RestorationStep) -> Float[Tensor, ""]:
        """The mean over batch, frames and pixels."""
        gap = predicted(step) - step.target
        return (gap.square() + self.eps**2).sqrt().mean() - self.eps


def predicted(step: RestorationStep) -> Clips:
    """The adapted backbone's answer, which must be there."""
    if step.prediction is None:
        raise ValueError("the step holds no prediction; put 'prediction' into `needs`")
    return step.prediction


def _spans(step: RestorationStep) -> Float[Tensor, "4 1 1"]:
    """DN between black and white, of each plane."""
    black = step.noisy.new_tensor(step.sensor.black)[:, None, None]
    return step.sensor.white_level - black
