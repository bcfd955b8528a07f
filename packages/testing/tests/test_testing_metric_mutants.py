"""Broken metrics, each of which the check named beside it must catch."""

import pytest
import torch

from graftwork.core import hookimpl, plugins
from graftwork.core.plugins import PluginManager
from graftwork.core.records import MetricSpec
from graftwork.nn.metric import Metric
from graftwork.testing import MetricSuite


class Sound(Metric):
    """How much of the free samples is left."""

    def __call__(self, evaluation):
        pair = [evaluation.samples(evaluation.free_prompts, adapted=on) for on in (True, False)]
        return {"kept": self.number(evaluation, *pair)}

    def number(self, evaluation, adapted, frozen):
        return float(1 - (adapted - frozen).abs().mean())


class Tensors(Sound):
    def __call__(self, evaluation):
        return {"kept": torch.tensor(super().__call__(evaluation)["kept"])}


class NotFinite(Sound):
    def number(self, evaluation, adapted, frozen):
        return float("nan")


class Nothing(Sound):
    def __call__(self, evaluation):
        return {}


class Misnamed(Sound):
    def __call__(self, evaluation):
        return {"left": super().__call__(evaluation)["kept"]}


class Draws(Sound):
    def number(self, evaluation, adapted, frozen):
        return super().number(evaluation, adapted, frozen) * float(torch.rand(1))


class MovesTheGenerator(Sound):
    def number(self, evaluation, adapted, frozen):
        torch.rand(1)
        return super().number(evaluation, adapted, frozen)


class OutOfRange(Sound):
    def number(self, evaluation, adapted, frozen):
        return 100 * super().number(evaluation, adapted, frozen)


class NeedsFeatures(Sound):
    def number(self, evaluation, adapted, frozen):
        features = evaluation.features(adapted)
        return float("nan") if features is None else 1.0


class NeverPerfect(Sound):
    def number(self, evaluation, adapted, frozen):
        return 0.9 * super().number(evaluation, adapted, frozen)


class UpsideDown(Sound):
    higher_is_better = False


MUTANTS = [
    (Tensors, "test_values_are_finite_numbers"),
    (NotFinite, "test_values_are_finite_numbers"),
    (Nothing, "test_values_are_finite_numbers"),
    (Misnamed, "test_values_are_finite_numbers"),
    (Draws, "test_it_repeats"),
    (MovesTheGenerator, "test_it_repeats"),
    (OutOfRange, "test_it_is_in_range"),
    (NeedsFeatures, "test_backbone_without_features"),
    (NeverPerfect, "test_perfect_case"),
    (UpsideDown, "test_perfect_case"),
    (UpsideDown, "test_direction_is_declared_once"),
]


class Suite(MetricSuite):
    name = "kept"
    range = (0.0, 1.0)
    perfect = {"unchanged": 1.0}


class Offer:
    def __init__(self, cls):
        self.record = MetricSpec(name="kept", target=f"{__name__}:{cls.__name__}", summary="it")

    @hookimpl
    def metrics(self):
        return [self.record]


def offering(cls):
    manager = PluginManager()
    manager.register(Offer(cls), "offer")
    return plugins.use(manager)


@pytest.mark.parametrize(("mutant", "check"), MUTANTS)
def test_mutant_is_caught(mutant, check):
    with offering(mutant), pytest.raises((AssertionError, pytest.fail.Exception)) as caught:
        getattr(Suite(), check)()
    assert str(caught.value).strip()


@pytest.mark.parametrize("check", sorted({check for _, check in MUTANTS}))
def test_sound_metric_passes(check):
    with offering(Sound):
        getattr(Suite(), check)()
