"""Broken sets of labelled images and broken classifiers, and the check that must catch each."""

import copy
import random

import pytest
import torch
from torch import nn

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.core.records import BackboneSpec, DatasetSpec
from graftwork.labels.classifier import ImageClassifier, Predicted
from graftwork.labels.step import LabelStep
from graftwork.nn import fingerprint, frozen
from graftwork.testing import ImageClassifierSuite, LabelledImagesSuite
from graftwork.testing.toy_labels import ToyLabels


@config
class Settings:
    """Settings."""

    noise: float = 0.0
    """Share of labels that are wrong."""


class Sound(ToyLabels):
    """Toy labels, some of them replaced."""

    def __init__(self, settings):
        super().__init__(examples=8)
        self.wrong = range(round(settings.noise * 8))

    def label(self, index):
        return (super().label(index) + (index in self.wrong)) % 3

    def image(self, index):
        return ToyLabels.image(ToyLabels(side=self.side), index)

    def changed(self):
        return {index: super(Sound, self).label(index) for index in self.wrong}

    def hash(self):
        return f"{self.picture_hash()} {self.labels().tolist()}"


class Jittered(Sound):
    def image(self, index):
        return torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)


class Floats(Sound):
    def image(self, index):
        return super().image(index).float() / 255


class Nameless(Sound):
    def name(self, index):
        return "image"


class EmptyClass(Sound):
    classes = ("waves", "stripes", "rings", "dots")


class HoldsTrainingOut(Sound):
    def held_out(self):
        return self


class HidesNoise(Sound):
    def changed(self):
        return {}


class NoiseInPictures(Sound):
    def picture_hash(self):
        return f"{super().picture_hash()} {len(self.wrong)}"


class NoiseNowhere(Sound):
    def hash(self):
        return self.picture_hash()


DATA = [
    (Jittered, "test_images_repeat"),
    (Floats, "test_images_repeat"),
    (Nameless, "test_images_repeat"),
    (EmptyClass, "test_labels_are_places_in_classes"),
    (HoldsTrainingOut, "test_held_out_images_are_others"),
    (HidesNoise, "test_noise_is_in_the_labels_alone"),
    (NoiseInPictures, "test_noise_is_in_the_labels_alone"),
    (NoiseNowhere, "test_noise_is_in_the_labels_alone"),
]


class DataUnderTest(LabelledImagesSuite):
    name = "specimen"

    def __init__(self, cls):
        self.found = DatasetSpec(
            name="specimen",
            target=f"{__name__}:{cls.__name__}",
            config=f"{__name__}:Settings",
            summary="it",
            task="classification",
        )

    @property
    def record(self):
        return self.found

    def make(self, folder):
        return {}


class SoundClassifier(ImageClassifier):
    """Mean colours, mixed by a linear layer, and a classifier."""

    def __init__(self, settings):
        super().__init__(settings)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            layers = {"body": nn.Linear(3, 5), "classifier": nn.Linear(5, 3, bias=False)}
        self.module = nn.ModuleDict(layers)
        self.module.requires_grad_(False).eval()

    def default_sites(self):
        return ("body",)

    def head_sites(self):
        return ("classifier",)

    def to(self, device, dtype):
        self.module.to(device, dtype)

    def fingerprint(self):
        return fingerprint(self.module)

    def prepare(self, data):
        return data

    def features(self, images, places):
        colours = [images.image(place).float().mean((1, 2)) / 255 for place in places]
        return self.module["body"](torch.stack(colours))

    def step(self, examples, indices, *, needs, generator):
        features = self.features(examples, indices)
        with torch.no_grad(), frozen(self.module):
            before = self.features(examples, indices)
        logits, wanted = self.module["classifier"](features), "features" in needs
        return LabelStep(
            labels=examples.labels()[list(indices)],
            indices=torch.tensor(indices),
            examples=len(examples),
            logits=logits if "prediction" in needs else None,
            features=features if wanted else None,
            frozen_features=before if wanted else None,
        )

    @torch.no_grad()
    def predict(self, images):
        places = range(len(images))
        features = self.features(images, places)
        with frozen(self.module):
            before = self.features(images, places)
        return Predicted(
            kept=torch.arange(len(images)),
            logits=self.module["classifier"](features),
            features=features,
            frozen_features=before,
        )


class MeetsNobody(SoundClassifier):
    def __init__(self, settings):
        super().__init__(settings)
        self.module["classifier"] = nn.Linear(5, 7, bias=False).requires_grad_(False)


class NormalisesOverOthers(SoundClassifier):
    def features(self, images, places):
        made = super().features(images, places)
        return made - made.mean(0)


class KeepsAdapted(SoundClassifier):
    kept = None

    def predict(self, images):
        found = super().predict(images)
        self.kept = self.kept or found
        return self.kept


class FrozenFollows(SoundClassifier):
    def predict(self, images):
        found = super().predict(images)
        return Predicted(
            kept=found.kept,
            logits=found.logits,
            features=found.features,
            frozen_features=found.features,
        )


class PredictsWithACopy(SoundClassifier):
    def __init__(self, settings):
        super().__init__(settings)
        self.other = copy.deepcopy(self.module)

    def predict(self, images):
        self.module, kept = self.other, self.module
        try:
            return super().predict(images)
        finally:
            self.module = kept


class AlwaysComputes(SoundClassifier):
    def step(self, examples, indices, *, needs, generator):
        return super().step(examples, indices, needs=needs | {"features"}, generator=generator)


class Draws(SoundClassifier):
    def features(self, images, places):
        return super().features(images, places) + random.random()


BACKBONES = [
    (MeetsNobody, "test_the_classifier_is_one_site"),
    (NormalisesOverOthers, "test_it_predicts_every_image"),
    (KeepsAdapted, "test_grafts_act_on_predictions"),
    (FrozenFollows, "test_grafts_act_on_predictions"),
    (PredictsWithACopy, "test_grafts_act_on_predictions"),
    (AlwaysComputes, "test_step_is_finite"),
    (Draws, "test_step_repeats"),
]


class BackboneUnderTest(ImageClassifierSuite):
    name = "specimen"

    def __init__(self, cls):
        self.found = BackboneSpec(
            name="specimen",
            target=f"{__name__}:{cls.__name__}",
            config=f"{__name__}:Settings",
            summary="it",
            task="classification",
            default_loss="cross-entropy",
        )

    @property
    def record(self):
        return self.found


@pytest.mark.parametrize(("mutant", "check"), DATA)
def test_a_broken_set_is_caught(mutant, check, tmp_path):
    with pytest.raises(AssertionError) as caught:
        getattr(DataUnderTest(mutant), check)(tmp_path)
    assert str(caught.value).strip()


@pytest.mark.parametrize("check", sorted({check for _, check in DATA}))
def test_a_sound_set_passes(check, tmp_path):
    getattr(DataUnderTest(Sound), check)(tmp_path)


@pytest.mark.parametrize(("mutant", "check"), BACKBONES)
def test_a_broken_classifier_is_caught(mutant, check):
    errors = (AssertionError, pytest.fail.Exception, GraftworkError)
    with pytest.raises(errors) as caught:
        getattr(BackboneUnderTest(mutant), check)()
    assert str(caught.value).strip()


@pytest.mark.parametrize("check", sorted({check for _, check in BACKBONES}))
def test_a_sound_classifier_passes(check):
    getattr(BackboneUnderTest(SoundClassifier), check)()
