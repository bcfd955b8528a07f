"""Broken losses, each of which the check named beside it must catch."""

import pytest
import torch

from graftwork.core import hookimpl, plugins
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import PluginManager
from graftwork.core.records import LossSpec
from graftwork.nn.loss import Loss
from graftwork.testing import LossSuite


class Sound(Loss):
    """Denoising and preservation."""

    needs = frozenset({"prediction", "free"})

    def __call__(self, step):
        if step.prediction is None or step.adapted_free is None:
            raise GraftworkError("sound: the step lacks what `needs` asks for")
        return self.combine(step, step.prediction - step.target)

    def combine(self, step, error):
        kept = step.adapted_free - step.frozen_free.detach()
        return error.square().mean() + kept.square().mean()


class UnknownNeed(Sound):
    needs = frozenset({"prediction", "free", "captions"})


class NotAScalar(Sound):
    def combine(self, step, error):
        return error.square().mean((1, 2, 3))


class NotFinite(Sound):
    def combine(self, step, error):
        return (error / (step.alpha_bar < 0.01).logical_not().view(-1, 1, 1, 1)).square().mean()


class CastsDown(Sound):
    def combine(self, step, error):
        return super().combine(step, error).float()


class Detached(Sound):
    def combine(self, step, error):
        return super().combine(step, error.detach())


class ZeroGradient(Sound):
    def combine(self, step, error):
        return super().combine(step, error.detach()) + 0 * error.sum()


class WrongGradient(Sound):
    def combine(self, step, error):
        return super().combine(step, error + 0.1 * (error - error.detach()))


class TrainsTheTarget(Sound):
    def combine(self, step, error):
        return error.square().mean() + (step.adapted_free - step.frozen_free).square().mean()


class StumblesOnNone(Sound):
    def __call__(self, step):
        return self.combine(step, step.prediction - step.target)


class NeedsTooMuch(Sound):
    def __call__(self, step):
        return step.noise.square().mean()


class Sums(Sound):
    def combine(self, step, error):
        return super().combine(step, error) * len(error)


class AlwaysNoise(Sound):
    def combine(self, step, error):
        return super().combine(step, step.prediction - step.noise)


class Draws(Sound):
    def combine(self, step, error):
        return super().combine(step, error * torch.rand(1, dtype=error.dtype))


class WritesIntoStep(Sound):
    def combine(self, step, error):
        step.noise.mul_(1.001)
        return super().combine(step, error)


MUTANTS = [
    (UnknownNeed, "test_needs_are_known"),
    (NotAScalar, "test_it_is_a_finite_scalar"),
    (NotFinite, "test_it_is_a_finite_scalar"),
    (CastsDown, "test_it_is_a_finite_scalar"),
    (Detached, "test_gradient_is_right"),
    (ZeroGradient, "test_gradient_is_right"),
    (WrongGradient, "test_gradient_is_right"),
    (TrainsTheTarget, "test_frozen_prediction_is_a_target"),
    (StumblesOnNone, "test_missing_field_is_told"),
    (NeedsTooMuch, "test_missing_field_is_told"),
    (Sums, "test_batch_is_averaged"),
    (AlwaysNoise, "test_zero_at_perfection"),
    (Draws, "test_it_repeats"),
    (WritesIntoStep, "test_it_repeats"),
]


class Suite(LossSuite):
    name = "specimen"


class ThinksItIsNeverZero(Suite):
    zero_at_perfection = False


class Offer:
    def __init__(self, cls):
        self.record = LossSpec(name="specimen", target=f"{__name__}:{cls.__name__}", summary="it")

    @hookimpl
    def losses(self):
        return [self.record]


def offering(cls):
    manager = PluginManager()
    manager.register(Offer(cls), "offer")
    return plugins.use(manager)


def run(check, suite):
    method = getattr(suite, check)
    for variant in suite.variants if check != "test_needs_are_known" else [None]:
        method() if variant is None else method(variant)


@pytest.mark.parametrize(("mutant", "check"), MUTANTS)
def test_mutant_is_caught(mutant, check):
    with offering(mutant), pytest.raises((AssertionError, pytest.fail.Exception)) as caught:
        run(check, Suite())
    assert str(caught.value).strip()


def test_wrong_capability_is_caught():
    with offering(Sound), pytest.raises(AssertionError, match="zero_at_perfection"):
        run("test_zero_at_perfection", ThinksItIsNeverZero())


@pytest.mark.parametrize("check", sorted({check for _, check in MUTANTS}))
def test_sound_loss_passes(check):
    with offering(Sound):
        run(check, Suite())
