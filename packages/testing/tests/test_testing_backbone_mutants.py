"""Broken backbones, each of which the check named beside it must catch."""

import copy
import dataclasses
import itertools

import pytest
import torch

from graftwork.core import hookimpl, plugins
from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import PluginManager
from graftwork.core.records import BackboneSpec
from graftwork.nn import frozen
from graftwork.testing import TextToImageSuite
from graftwork.testing.toy import ToyBackbone


@config
class Settings:
    """Settings."""

    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass."""


class Sound(ToyBackbone):
    """The kit's toy, given images of any size."""

    def prepare(self, data):
        return super().prepare(_Small(data))


class _Small:
    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getattr__(self, name):
        return getattr(self.data, name)

    def image(self, index):
        return self.data.image(index).resize((8, 8))


class NoSites(Sound):
    def default_sites(self):
        return ()


class WrongSites(Sound):
    def default_sites(self):
        return ("middle", "attention")


class FingerprintsTime(Sound):
    count = itertools.count()

    def fingerprint(self):
        return str(next(self.count))


class FingerprintsName(Sound):
    def fingerprint(self):
        return "toy"


class FingerprintsAdapters(Sound):
    def fingerprint(self):
        return str(sum(float(tensor.sum()) for tensor in self.module.state_dict().values()))


class CastsAdapters(Sound):
    def to(self, device, dtype):
        self.module.to(device, dtype)


def changed(step, **changes):
    return dataclasses.replace(step, **changes)


class NotFinite(Sound):
    def step(self, *args, **kwargs):
        step = super().step(*args, **kwargs)
        return changed(step, prediction=step.prediction / 0)


class AlwaysFree(Sound):
    def step(self, examples, indices, *, needs, generator):
        return super().step(examples, indices, needs=needs | {"free"}, generator=generator)


class NeverFree(Sound):
    def step(self, examples, indices, *, needs, generator):
        return super().step(examples, indices, needs=needs - {"free"}, generator=generator)


class GlobalNoise(Sound):
    def step(self, examples, indices, *, needs, generator):
        own = torch.Generator().manual_seed(int(torch.randint(10**6, ())))
        return super().step(examples, indices, needs=needs, generator=own)


class FixedNoise(Sound):
    def step(self, examples, indices, *, needs, generator):
        own = torch.Generator().manual_seed(1)
        return super().step(examples, indices, needs=needs, generator=own)


class OtherCaptions(Sound):
    def step(self, *args, **kwargs):
        step = super().step(*args, **kwargs)
        if step.frozen_free is None:
            return step
        with frozen(self.module), torch.no_grad():
            return changed(step, frozen_free=self._predict(step.noisy, ["", ""]))


class FrozenIsAdapted(Sound):
    def step(self, *args, **kwargs):
        step = super().step(*args, **kwargs)
        free = None if step.adapted_free is None else step.adapted_free.detach()
        return changed(step, frozen_free=free)


class AdaptedIsFrozen(Sound):
    def step(self, *args, **kwargs):
        step = super().step(*args, **kwargs)
        return changed(step, adapted_free=step.frozen_free)


class NoGradient(Sound):
    def step(self, *args, **kwargs):
        with torch.no_grad():
            step = super().step(*args, **kwargs)
        return changed(step, prediction=step.prediction.requires_grad_())


class TrainsItself(Sound):
    def step(self, *args, **kwargs):
        next(iter(self.module.words.parameters())).requires_grad_()
        return super().step(*args, **kwargs)


class OutOfRange(Sound):
    def sample(self, *args, **kwargs):
        return super().sample(*args, **kwargs) * 2 - 1


class Flat(Sound):
    def sample(self, *args, **kwargs):
        return super().sample(*args, **kwargs).flatten(1)


class DrawsAnew(Sound):
    def sample(self, prompts, seeds, **settings):
        return super().sample(prompts, [int(torch.randint(10**6, ())) for _ in seeds], **settings)


class MixesBatch(Sound):
    def sample(self, *args, **kwargs):
        images = super().sample(*args, **kwargs)
        return (images + images.mean(0)) / 2


class IgnoresSeed(Sound):
    def sample(self, prompts, seeds, **settings):
        return super().sample(prompts, [0 for _ in seeds], **settings)


class IgnoresPrompt(Sound):
    def sample(self, prompts, seeds, **settings):
        return super().sample(["" for _ in prompts], seeds, **settings)


class SamplesWithACopy(Sound):
    def __init__(self, settings):
        super().__init__(settings)
        self.other = [copy.deepcopy(self.module)]

    def sample(self, *args, **kwargs):
        module, self.module = self.module, self.other[0]
        try:
            return super().sample(*args, **kwargs)
        finally:
            self.module = module


class CheckpointsWrongly(Sound):
    def step(self, *args, **kwargs):
        step = super().step(*args, **kwargs)
        scale = 1.01 if self.settings.gradient_checkpointing else 1.0
        return changed(step, prediction=step.prediction * scale)


class FeatureMaps(Sound):
    def features(self, images):
        return images


class OtherTask(Sound):
    task = "video"


MUTANTS = [
    (NoSites, "test_default_sites_exist"),
    (WrongSites, "test_default_sites_exist"),
    (FingerprintsTime, "test_fingerprint_follows_the_weights"),
    (FingerprintsName, "test_fingerprint_follows_the_weights"),
    (FingerprintsAdapters, "test_fingerprint_follows_the_weights"),
    (CastsAdapters, "test_adapters_keep_their_dtype"),
    (NotFinite, "test_step_is_finite"),
    (AlwaysFree, "test_step_is_finite"),
    (NeverFree, "test_step_is_finite"),
    (GlobalNoise, "test_step_repeats"),
    (FixedNoise, "test_step_repeats"),
    (OtherCaptions, "test_free_pair_is_equal_without_graft"),
    (FrozenIsAdapted, "test_free_pair_is_equal_without_graft"),
    (AdaptedIsFrozen, "test_free_pair_is_equal_without_graft"),
    (NoGradient, "test_gradient_reaches_the_adapter"),
    (TrainsItself, "test_gradient_reaches_the_adapter"),
    (OutOfRange, "test_samples_are_images"),
    (Flat, "test_samples_are_images"),
    (DrawsAnew, "test_samples_are_images"),
    (MixesBatch, "test_samples_are_independent"),
    (IgnoresSeed, "test_samples_are_independent"),
    (IgnoresPrompt, "test_samples_are_independent"),
    (SamplesWithACopy, "test_grafts_act_on_samples"),
    (CheckpointsWrongly, "test_gradient_checkpointing_changes_nothing"),
    (FeatureMaps, "test_features_are_rows"),
    (OtherTask, "test_task_is_declared_once"),
]


class Suite(TextToImageSuite):
    name = "specimen"


class Offer:
    def __init__(self, cls):
        self.record = BackboneSpec(
            name="specimen",
            target=f"{__name__}:{cls.__name__}",
            config=f"{__name__}:Settings",
            summary="it",
            task="text-to-image",
            default_loss="toy-denoising",
        )

    @hookimpl
    def backbones(self):
        return [self.record]


class Offering(Suite):
    """The kit's `grafted` makes a manager of its own, so records come from ours first."""

    def __init__(self, cls):
        manager = PluginManager()
        manager.register(Offer(cls), "offer")
        with plugins.use(manager):
            self.found = super().record

    @property
    def record(self):
        return self.found


@pytest.mark.parametrize(("mutant", "check"), MUTANTS)
def test_mutant_is_caught(mutant, check):
    errors = (AssertionError, pytest.fail.Exception, GraftworkError)
    with pytest.raises(errors) as caught:
        getattr(Offering(mutant), check)()
    assert str(caught.value).strip()


@pytest.mark.parametrize("check", sorted({check for _, check in MUTANTS}))
def test_sound_backbone_passes(check):
    getattr(Offering(Sound), check)()
