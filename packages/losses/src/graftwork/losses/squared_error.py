"""The squared error that the diffusion losses share, with its min-SNR weight.

Min-SNR-gamma (Hang et al. 2023, arXiv:2303.09556) weighs the error of the predicted x_0 by
min(SNR, gamma). An error in another prediction is that error times a factor, so its weight is

    sample:         min(SNR, gamma)
    epsilon:        min(SNR, gamma) / SNR
    v_prediction:   min(SNR, gamma) / (SNR + 1)
"""

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.nn.denoising import DenoisingStep


def squared_error(
    step: DenoisingStep,
    prediction: Float[Tensor, "batch channels height width"],
    target: Float[Tensor, "batch channels height width"],
    *,
    gamma: float | None,
    weight: Float[Tensor, "batch 1 height width"] | None = None,
) -> Float[Tensor, ""]:
    """mean(m w (prediction - target)^2), with w the min-SNR weight of each example, or 1, and m
    the `weight` of each place, or 1.

    Half-precision inputs are compared in float32.
    """
    squares = (_at_least_float32(prediction) - _at_least_float32(target)).square()
    if weight is not None:
        squares = weight.to(squares.dtype) * squares
    errors = squares.mean(dim=(1, 2, 3))  # one for each example
    if gamma is None:
        return errors.mean()
    return (min_snr_weight(step, gamma).to(errors.dtype) * errors).mean()


def min_snr_weight(step: DenoisingStep, gamma: float) -> Float[Tensor, "batch"]:
    """The weight of each example's squared error; finite at abar = 0 and abar = 1 too."""
    snr = step.snr
    if step.prediction_type == "sample":
        return snr.clamp(max=gamma)
    if step.prediction_type == "epsilon":
        return (gamma / snr).clamp(max=1)  # min(SNR, gamma) / SNR without 0/0
    return snr.clamp(max=gamma) / (snr + 1)


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
