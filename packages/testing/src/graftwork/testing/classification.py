"""The suites for classification: data, backbones, losses, metrics. Needs `graftwork-labels`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graftwork.labels.classifier import ImageClassifier
from graftwork.labels.images import LabelledImages
from graftwork.labels.step import LabelStep
from graftwork.nn import frozen
from graftwork.nn.backbone import Backbone
from graftwork.nn.dataset import Dataset
from graftwork.nn.match import match_sites
from graftwork.testing.backbones import BackboneSuite
from graftwork.testing.compare import agree, same_bits
from graftwork.testing.data import DataSuite
from graftwork.testing.losses import LossSuite
from graftwork.testing.metrics import MetricSuite
from graftwork.testing.toy_evaluation import Outcome
from graftwork.testing.toy_labels import ToyClassifications, ToyLabels

_FIELDS = {"prediction": ("logits",), "features": ("features", "frozen_features")}


class LabelledImagesSuite(DataSuite):
    """Checks of one kind of set of labelled images; write `make(self, folder)`."""

    base = LabelledImages

    def read(self, settings: Mapping[str, Any]) -> LabelledImages:
        """The data set that the settings describe."""
        data = super().read(settings)
        assert isinstance(data, LabelledImages)
        return data

    def test_images_repeat(self, tmp_path: Path) -> None:
        """Image i, its label and its name are the same at every call and in every instance.

        When it fails: sort files, and draw from generators made of the settings.
        """
        settings = self.make(tmp_path)
        first, second = self.read(settings), self.read(settings)
        for index in reversed(range(len(first))):
            one, two = first.image(index), second.image(index)
            assert one.dtype == torch.uint8, f"{first.name(index)}: {one.dtype}; give bytes"
            assert one.shape[0] == 3, f"{first.name(index)}: {tuple(one.shape)}; colours first"
            assert torch.equal(one, two), f"{first.name(index)}: read differently"
            assert first.label(index) == second.label(index), f"{first.name(index)}: two labels"
        names = [first.name(index) for index in range(len(first))]
        assert len(set(names)) == len(names), "name: two images share one"

    def test_labels_are_places_in_classes(self, tmp_path: Path) -> None:
        """Every label names a class, and every class has an image.

        When it fails: give `classes` the names of the classes that there are.
        """
        data = self.read(self.make(tmp_path))
        labels = data.labels()
        assert labels.tolist() == [data.label(index) for index in range(len(data))], "labels()"
        assert sorted(set(labels.tolist())) == list(range(len(data.classes))), "a class is empty"

    def test_held_out_images_are_others(self, tmp_path: Path) -> None:
        """What is judged on is another set with the same classes, and holds nothing out itself.

        When it fails: return None, or a set that differs from that of training.
        """
        data = self.read(self.make(tmp_path))
        test = data.held_out()
        if test is not None:
            assert test.picture_hash() != data.picture_hash(), "images of training are held out"
            assert list(test.classes) == list(data.classes), "other classes are held out"
            assert test.held_out() is None, "the test holds out a test; return None there"
            assert not test.changed(), "the labels of the test have noise"

    def test_noise_is_in_the_labels_alone(self, tmp_path: Path) -> None:
        """With the setting `noise`, if there is one, labels change as told and pictures do not.

        When it fails: keep labels out of `picture_hash` and put them into `hash`.
        """
        if "noise" not in self.setting_names():
            return
        settings = self.make(tmp_path)
        clean, noisy = self.read(settings), self.read({**settings, "noise": 0.5})
        changed = noisy.changed()
        assert len(changed) == round(0.5 * len(noisy)), f"{len(changed)} labels changed"
        for index in range(len(noisy)):
            assert changed.get(index, noisy.label(index)) == clean.label(index), "changed()"
        assert noisy.picture_hash() == clean.picture_hash(), "picture_hash: of pictures alone"
        assert noisy.hash() != clean.hash(), "hash: of labels too"


class ImageClassifierSuite(BackboneSuite):
    """Checks of one image classifier, with an adapter of the kit's own on it."""

    base = ImageClassifier
    fields = _FIELDS
    draws = False

    def backbone(self, **changes: Any) -> Backbone:
        """A fresh backbone that has met the data."""
        made = super().backbone(**changes)
        made.meet(self.dataset())
        return made

    def dataset(self) -> Dataset:
        """What the backbone is given to prepare."""
        return ToyLabels()

    def step(
        self, backbone: Backbone, *, seed: int = 0, needs: frozenset[str] | None = None
    ) -> Any:
        """One step, with a classifier that knows something."""
        (site,) = backbone.head_sites()
        layer = backbone.module.get_submodule(site)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            weight = layer._parameters["weight"]
            assert isinstance(weight, nn.Parameter)
            weight.copy_(torch.randn(weight.shape, generator=generator))
        return super().step(backbone, seed=seed, needs=needs)

    def objective(self, step: LabelStep) -> Tensor:
        """Both adapted predictions."""
        assert step.logits is not None
        assert step.features is not None
        surprise = torch.nn.functional.cross_entropy(step.logits.float(), step.labels)
        return surprise + step.features.float().square().mean()

    def classifier(self) -> ImageClassifier:
        """The backbone under test."""
        backbone = self.backbone()
        assert isinstance(backbone, ImageClassifier)
        return backbone

    def test_the_classifier_is_one_site(self) -> None:
        """`head_sites` names one linear layer with an output for each class, once data is met.

        When it fails: size the layer in `meet`.
        """
        backbone, data = self.classifier(), ToyLabels()
        (site,) = match_sites(backbone.module, backbone.head_sites()).values()
        assert site.kind == "linear", f"{site.kind}; heads take the place of a linear layer"
        assert site.rows == len(data.classes), f"{site.rows} outputs for {len(data.classes)}"

    def test_it_predicts_every_image(self) -> None:
        """Every image has logits and features, whatever others are beside it.

        When it fails: keep the order, and stay in evaluation mode.
        """
        backbone, data = self.classifier(), ToyLabels()
        self.step(backbone)
        found = backbone.predict(data)
        assert found.kept.tolist() == list(range(len(data))), "an image is missing"
        assert found.logits.shape == (len(data), len(data.classes)), f"{found.logits.shape}"
        few = backbone.predict(ToyLabels(examples=2))
        agree(few.features, found.features[:2], tolerance=1e-5, remedy="features depend on others")
        agree(few.logits, found.logits[:2], tolerance=1e-5, remedy="logits depend on others")
        remedy = "without a graft the features are the frozen ones"
        same_bits(found.features, found.frozen_features, remedy=remedy)

    def test_grafts_act_on_predictions(self) -> None:
        """A graft changes features and leaves the frozen ones; `frozen` gives the backbone's.

        When it fails: predict with `self.module`, and keep nothing that a graft has changed.
        """
        backbone, data = self.classifier(), ToyLabels()
        self.step(backbone)
        plain = backbone.predict(data)
        with self.grafted(backbone):
            adapted = backbone.predict(data)
            with frozen(backbone.module):
                off = backbone.predict(data)
        assert not torch.allclose(adapted.features, plain.features), "the graft does not act"
        same_bits(adapted.frozen_features, plain.frozen_features, remedy="F follows the graft")
        same_bits(off.logits, plain.logits, remedy="frozen(module) does not give the backbone's")


class LabelLossSuite(LossSuite):
    """Checks of one loss of image classifiers."""

    variants = ("classes",)
    fields = _FIELDS

    def step(self, variant: str, needs: frozenset[str], *, perfect: bool = False) -> Any:
        """A step in float64 that holds what `needs` names; perfect, each prediction its target."""
        generator = torch.Generator().manual_seed(17)
        labels = torch.tensor([2, 0, 1, 2, 3])
        logits, features, other = (
            torch.randn(5, size, generator=generator).double() for size in (4, 3, 3)
        )
        made = {
            "logits": nn.functional.one_hot(labels, 4).double() * 100 if perfect else logits,
            "features": other.clone() if perfect else features,
            "frozen_features": other,
        }
        wanted = {name for need in needs for name in self.fields.get(need, ())}
        return LabelStep(
            labels=labels,
            indices=torch.tensor([4, 0, 6, 1, 3]),
            examples=8,
            **{name: made[name] for name in wanted},
        )


class LabelMetricSuite(MetricSuite):
    """Checks of one metric of image classifiers."""

    def evaluation(self, outcome: Outcome = "ordinary", *, features: bool = True) -> Any:
        """Images of which three in four, none or all are seen rightly."""
        return ToyClassifications(outcome)
