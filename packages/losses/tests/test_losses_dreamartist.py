"""The DreamArtist loss: oracles O5.1 to O5.4, and the other prediction types against the noise."""

import math

import pytest
import torch

from graftwork.core import GraftworkError
from graftwork.core.config import parse
from graftwork.losses.denoising import Denoising, DenoisingConfig
from graftwork.losses.dreamartist import DreamArtistLoss, DreamArtistLossConfig
from graftwork.losses.guidance import Guidance
from graftwork.nn.denoising import DenoisingStep


def image(*values):
    return torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1)


def loss_of(**settings):
    return DreamArtistLoss(DreamArtistLossConfig(**settings))


def step_of(kind="epsilon", **fields):
    generator = torch.Generator().manual_seed(2)
    names = ("clean", "noise", "prediction", "negative")
    drawn = {n: torch.randn(4, 3, 2, 2, generator=generator, dtype=torch.float64) for n in names}
    drawn["alpha_bar"] = torch.tensor([0.95, 0.6, 0.25, 0.02], dtype=torch.float64)
    return DenoisingStep(prediction_type=kind, **{**drawn, **fields})


def test_values_and_gradients_by_hand():
    """O5.1."""
    positive, negative = image(1, 2).requires_grad_(), image(0, 1).requires_grad_()
    step = DenoisingStep(
        prediction_type="epsilon",
        clean=image(0, 0),
        noise=image(2, 5),
        alpha_bar=torch.tensor([0.5], dtype=torch.float64),
        prediction=positive,
        negative=negative,
    )
    loss = loss_of(guidance=3.0)
    assert loss.guided(step).flatten().tolist() == [3, 4]
    assert loss(step).item() == 1
    of_positive, of_negative = torch.autograd.grad(loss(step), (positive, negative))
    assert of_positive.flatten().tolist() == [3, -3]
    assert of_negative.flatten().tolist() == [-2, 2]


def test_places_are_weighed_by_the_masks():
    """O5.1's numbers, the second place counting five times and the first not at all."""
    values = {"clean": [0, 0], "noise": [2, 3.0], "prediction": [1, 2], "negative": [0, 1]}
    places = {name: image(*each).view(1, 1, 1, 2) for name, each in values.items()}
    alpha_bar = torch.tensor([0.5], dtype=torch.float64)
    weight = image(0, 5).view(1, 1, 1, 2)
    step = step_of(**places, alpha_bar=alpha_bar, weight=weight)
    assert loss_of(guidance=3.0)(step).item() == 5 * (4 - 3) ** 2 / 2


def test_the_clean_picture_that_a_guided_prediction_stands_for():
    """O5.2: abar = 0.25 and z_t = [1, 1]."""
    clean = image(0.5, 0.5)
    step = DenoisingStep(
        prediction_type="epsilon",
        clean=clean,
        noise=(image(1, 1) - 0.5 * clean) / math.sqrt(0.75),
        alpha_bar=torch.tensor([0.25], dtype=torch.float64),
        prediction=image(1, 2),
        negative=image(0, 1),
    )
    torch.testing.assert_close(step.noisy, image(1, 1))
    found = step.clean_from(loss_of().guided(step))
    torch.testing.assert_close(found, image(-3.196152, -4.928203), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        ("ln", [1.5, 1.8754, 2.2508, 2.6261, 3.0]),
        ("cos", [1.5, 2.0746, 2.5615, 2.8865, 3.0]),
        ("cos2", [1.5, 1.6144, 1.9402, 2.4276, 3.0]),
    ],
)
def test_dynamic_guidance(shape, values):
    """O5.3."""
    time = torch.tensor([0, 250, 500, 750, 999], dtype=torch.float64) / 999
    found = Guidance.parse(f"1.5-3.0:{shape}").at(time)
    torch.testing.assert_close(found, torch.tensor(values).double(), atol=5e-5, rtol=0)


def test_each_example_is_guided_by_its_own_timestep():
    time = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    step = step_of(time=time)
    found = loss_of(guidance="1-5").guided(step)
    for index, gamma in enumerate((1.0, 2.0, 3.0, 5.0)):
        expected = step.negative[index] + gamma * (step.prediction[index] - step.negative[index])
        torch.testing.assert_close(found[index], expected)


def test_guidance_of_one_is_textual_inversion():
    """O5.4: to the bit, and without a gradient for the negative."""
    step = step_of()
    step.prediction.requires_grad_()
    step.negative.requires_grad_()
    loss = loss_of(guidance=1.0)(step)
    plain = Denoising(DenoisingConfig())(step)
    assert torch.equal(loss, plain)
    found = torch.autograd.grad(loss, (step.prediction, step.negative))
    assert torch.equal(found[0], torch.autograd.grad(plain, step.prediction)[0])
    assert not found[1].any()


@pytest.mark.parametrize("kind", ["v_prediction", "sample"])
def test_other_predictions_are_guided_as_the_noise_they_stand_for(kind):
    """Convert both predictions to noise, guide there, and convert back."""
    step = step_of(kind)
    a, s = step.signal, step.spread

    def noise(prediction):
        clean = a * step.noisy - s * prediction if kind == "v_prediction" else prediction
        return (step.noisy - a * clean) / s

    guided = noise(step.negative) + 3.0 * (noise(step.prediction) - noise(step.negative))
    torch.testing.assert_close(noise(loss_of().guided(step)), guided)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_reconstruction_is_zero_at_the_truth_and_decodes(kind):
    step = step_of(kind)
    target = step.target
    perfect = step_of(kind, prediction=target, negative=target, decode=lambda x: 2 * x + 1)
    assert loss_of(reconstruction=1.0)(perfect).item() == pytest.approx(0, abs=1e-12)
    off = step_of(kind, decode=lambda x: 2 * x + 1)
    loss = loss_of(reconstruction=0.7)
    guided = step.clean_from(loss.guided(off))
    expected = loss_of()(off) + 0.7 * 2 * (guided - step.clean).abs().mean()
    torch.testing.assert_close(loss(off), expected)


def test_the_clean_picture_is_recovered_from_every_true_prediction():
    for kind in ("epsilon", "v_prediction", "sample"):
        step = step_of(kind)
        torch.testing.assert_close(step.clean_from(step.target), step.clean)


def test_a_step_without_negatives_or_timesteps_is_told():
    with pytest.raises(GraftworkError, match='"dreamartist"'):
        loss_of()(step_of(negative=None))
    with pytest.raises(GraftworkError, match=r"guidance: .*tells no timesteps; give one number"):
        loss_of(guidance="1-3:cos")(step_of())


@pytest.mark.parametrize(
    "guidance",
    ["", "three", "1.5-3:tan", "3-", "-1-3", "1-3:cos:2", "__import__('os')", "1e3-2", -1.0, True],
)
def test_what_is_no_guidance_is_refused(guidance):
    with pytest.raises(GraftworkError, match=r"run.toml: loss.*guidance"):
        parse(DreamArtistLossConfig, {"guidance": guidance}, "run.toml: loss")


@pytest.mark.parametrize(
    ("text", "low", "high", "shape"),
    [
        (2, 2, 2, "ln"),
        ("1.5-3", 1.5, 3, "ln"),
        (" 1 - 3.5 : cos2 ", 1, 3.5, "cos2"),
        ("3-.5:ln", 3, 0.5, "ln"),
    ],
)
def test_forms_of_guidance(text, low, high, shape):
    assert Guidance.parse(text) == Guidance(low, high, shape)
    DreamArtistLossConfig(guidance=text)
