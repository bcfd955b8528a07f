"""The denoising loss against direct transcriptions of the papers, in float64."""

import pytest
import torch

from graftwork.core import GraftworkError
from graftwork.core.config import parse
from graftwork.losses.denoising import Denoising, DenoisingConfig
from graftwork.nn.denoising import DenoisingStep

KINDS = ("epsilon", "v_prediction", "sample")


def step_of(kind, *, batch=5, dtype=torch.float64, **fields):
    generator = torch.Generator().manual_seed(0)
    clean, noise, prediction = (
        torch.randn(batch, 3, 4, 4, generator=generator, dtype=dtype) for _ in range(3)
    )
    values = {
        "clean": clean,
        "noise": noise,
        "alpha_bar": torch.linspace(0.01, 0.99, batch, dtype=dtype),
        "prediction": prediction.requires_grad_(),
    }
    return DenoisingStep(prediction_type=kind, **values | fields)


def loss_of(step, gamma=None):
    return Denoising(DenoisingConfig(min_snr_gamma=gamma))(step)


def transcription(step, gamma):
    """Example by example, with plain numbers for weights."""
    total = torch.zeros((), dtype=torch.float64)
    for i, abar in enumerate(step.alpha_bar.tolist()):
        x0, eps, snr = step.clean[i], step.noise[i], abar / (1 - abar)
        target, weight = {
            "epsilon": (eps, min(snr, gamma) / snr),
            "v_prediction": (abar**0.5 * eps - (1 - abar) ** 0.5 * x0, min(snr, gamma) / (snr + 1)),
            "sample": (x0, min(snr, gamma)),
        }[step.prediction_type]
        total = total + weight * ((step.prediction[i] - target) ** 2).mean()
    return total / len(step.alpha_bar)


@pytest.mark.parametrize("gamma", [0.5, 5.0])
@pytest.mark.parametrize("kind", KINDS)
def test_min_snr_weighting_is_the_papers(kind, gamma):
    step = step_of(kind)
    torch.testing.assert_close(loss_of(step, gamma), transcription(step, gamma))


@pytest.mark.parametrize("kind", KINDS)
def test_without_gamma_it_is_the_plain_mean_squared_error(kind):
    step = step_of(kind)
    expected = torch.nn.functional.mse_loss(step.prediction, step.target)
    torch.testing.assert_close(loss_of(step), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_perfect_prediction_costs_nothing(kind):
    step = step_of(kind, prediction=step_of(kind).target)
    assert loss_of(step, 5.0) == 0


def test_every_prediction_type_weighs_the_same_error_of_x0_alike():
    """The weights differ only by what an error of x_0 becomes in another parametrisation."""
    clean, noise, error = (torch.randn(4, 3, 2, 2, dtype=torch.float64) for _ in range(3))
    abar = torch.tensor([0.1, 0.5, 0.8, 0.97], dtype=torch.float64)
    a, s = abar.sqrt().view(-1, 1, 1, 1), (1 - abar).sqrt().view(-1, 1, 1, 1)
    noisy, guess = a * clean + s * noise, clean + error
    predictions = {
        "sample": guess,
        "epsilon": (noisy - a * guess) / s,
        "v_prediction": (a * noisy - guess) / s,
    }
    losses = [
        loss_of(step_of(kind, clean=clean, noise=noise, alpha_bar=abar, prediction=prediction), 5.0)
        for kind, prediction in predictions.items()
    ]
    torch.testing.assert_close(losses[1], losses[0])
    torch.testing.assert_close(losses[2], losses[0])


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_against_finite_differences(kind):
    step = step_of(kind, batch=2)

    def function(prediction):
        return loss_of(step_of(kind, batch=2, prediction=prediction), 5.0)

    assert torch.autograd.gradcheck(function, (step.prediction,))


@pytest.mark.parametrize("kind", KINDS)
def test_the_ends_of_the_schedule_give_finite_losses(kind):
    step = step_of(kind, batch=2, alpha_bar=torch.tensor([0.0, 1.0], dtype=torch.float64))
    loss = loss_of(step, 5.0)
    loss.backward()
    assert loss.isfinite()
    assert step.prediction.grad.isfinite().all()


def test_bfloat16_predictions_are_compared_in_float32():
    step = step_of("epsilon", dtype=torch.float32)
    half = step_of("epsilon", dtype=torch.float32, prediction=step.prediction.bfloat16())
    assert loss_of(half).dtype == torch.float32
    torch.testing.assert_close(loss_of(half), loss_of(step), rtol=1e-2, atol=0)


def test_a_backbone_that_ignores_needs_is_told():
    with pytest.raises(ValueError, match=r"Backbone\.step"):
        loss_of(step_of("epsilon", prediction=None))


@pytest.mark.parametrize("gamma", [0, -1.0, "5"])
def test_gamma_must_be_a_positive_number(gamma):
    with pytest.raises(GraftworkError, match=r"run.toml: loss.min_snr_gamma"):
        parse(DenoisingConfig, {"min_snr_gamma": gamma}, "run.toml: loss")


@pytest.mark.parametrize("gamma", [None, 2.0])
def test_places_are_weighed_by_the_masks(gamma):
    """By hand: half of the picture counts five times, the other half not at all."""
    weight = torch.zeros(5, 1, 4, 4, dtype=torch.float64)
    weight[..., 2:] = 5
    step, whole = step_of("epsilon", weight=weight), step_of("epsilon")
    loss_of(step, gamma).backward()
    assert not step.prediction.grad[..., :2].any()
    loss_of(whole, gamma).backward()
    torch.testing.assert_close(step.prediction.grad[..., 2:], 5 * whole.prediction.grad[..., 2:])
    ones = step_of("epsilon", weight=torch.ones(5, 1, 4, 4, dtype=torch.float64))
    torch.testing.assert_close(loss_of(ones, gamma), loss_of(whole, gamma))
