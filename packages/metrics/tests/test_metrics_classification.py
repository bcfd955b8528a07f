"""Accuracy, calibration and the spectrum of features, by hand."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.labels.evaluation import Classified
from graftwork.testing.toy_labels import ToyClassifications


def metric(name: str, **settings: object) -> Any:
    record = registry.find("metrics", name)
    return record.load()(parse(record.settings_class(), settings, name))


class Given:
    """Sets with the features, logits and labels that a test gives."""

    def __init__(self, *sets: Classified) -> None:
        self.sets = sets

    def classified(self, *, adapted: bool) -> Sequence[Classified]:
        return self.sets


def one(
    *,
    logits: Tensor | None = None,
    labels: Tensor | None = None,
    features: Tensor | None = None,
    domain: str = "",
    severity: int = 0,
) -> Classified:
    rows = next(len(each) for each in (logits, labels, features) if each is not None)
    features = torch.zeros(rows, 1) if features is None else features
    return Classified(
        domain=domain,
        severity=severity,
        kept=torch.arange(rows),
        labels=torch.zeros(rows, dtype=torch.long) if labels is None else labels,
        logits=torch.zeros(rows, 2) if logits is None else logits,
        features=features,
        frozen_features=features,
    )


def test_accuracy_beside_other_domains() -> None:
    labels = torch.tensor([0, 1, 1, 0])
    right = 2.0 * torch.eye(2)[labels]
    half = 2.0 * torch.eye(2)[torch.tensor([0, 1, 0, 1])]
    judged = Given(
        one(logits=right, labels=labels),
        one(logits=half, labels=labels, domain="sketch"),
        one(logits=right, labels=labels, domain="blur", severity=1),
        one(logits=half, labels=labels, domain="blur", severity=2),
    )
    assert metric("accuracy")(judged) == {
        "accuracy": 1.0,
        "accuracy_ood": pytest.approx((0.5 + 0.75) / 2),
        "accuracy_sketch": 0.5,
        "accuracy_blur": 0.75,
    }


def test_one_domain_has_one_number() -> None:
    judged = Given(one(logits=torch.eye(2), labels=torch.tensor([0, 1])))
    assert metric("accuracy")(judged) == {"accuracy": 1.0}


def test_accuracy_by_class_and_among_the_likeliest() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    judged = Given(one(logits=torch.tensor([[2.0, 1.0, 0.0]] * 4), labels=labels))
    assert metric("accuracy")(judged)["accuracy"] == 0.75
    assert metric("accuracy", average="macro")(judged)["accuracy"] == 0.5
    assert metric("accuracy", top=2)(judged)["accuracy"] == 1.0
    with pytest.raises(GraftworkError, match="4 is more than the 3 classes"):
        metric("accuracy", top=4)(judged)


def test_calibration_is_the_gap_in_every_range() -> None:
    shares = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]], dtype=torch.float64)
    labels = torch.tensor([0, 1, 0, 1])
    expected = (abs(0.9 - 1) + abs(0.8 - 0) + abs(0.7 - 1) + abs(0.6 - 0)) / 4
    judged = Given(one(logits=shares.log().float(), labels=labels))
    found = metric("calibration-error", bins=20)(judged)["calibration-error"]
    assert found == pytest.approx(expected, abs=1e-5)


Z = torch.tensor([[1, 0, 0], [0, 2, 0], [0, 0, 3], [1, 1, 1]], dtype=torch.float32)


def spectrum(features: Tensor, **settings: object) -> tuple[float, float]:
    judged = Given(one(features=features))
    return (
        metric("sve", **settings)(judged)["sve"],
        metric("lsvr", **settings)(judged)["lsvr"],
    )


def test_known_spectra() -> None:
    assert spectrum(Z) == pytest.approx((1.0346084, 0.7384909), abs=1e-6)
    even = torch.linalg.qr(torch.randn(32, 8))[0]
    assert spectrum(even) == pytest.approx((math.log(8), math.log(8)), abs=1e-6)
    line = torch.outer(torch.arange(1.0, 6.0), torch.arange(1.0, 4.0))
    assert spectrum(line) == pytest.approx((0.0, 0.0), abs=1e-6)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9)])
def test_the_authors_normalisation(shape: tuple[int, int]) -> None:
    features = torch.randn(shape, generator=torch.Generator().manual_seed(1)) + 1.0
    wide = features.double()
    unit = wide / wide.norm(dim=1, keepdim=True)
    values = torch.linalg.svd(unit - unit.mean(dim=1, keepdim=True))[1][:3]
    shares = values / values.sum()
    expected = (float(-(shares * shares.log()).sum()), float(-shares[0].log()))
    found = spectrum(features, normalisation="code", components=3)
    assert found == pytest.approx(expected, abs=1e-6)


def test_no_features_at_all_are_told_as_zero() -> None:
    assert spectrum(torch.zeros(3, 4)) == (0.0, 0.0)


def test_frozen_features_stand_beside() -> None:
    values = metric("sve")(ToyClassifications())
    assert list(values) == ["sve", "sve_ood", "sve_blur", "sve_frozen"]
    judged = ToyClassifications().classified(adapted=True)[0]
    assert values["sve_frozen"] == spectrum(judged.frozen_features)[0]
    assert values["sve"] == spectrum(judged.features)[0]
