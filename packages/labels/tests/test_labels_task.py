"""The task of classification with a backbone of few words."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.labels.classifier import ImageClassifier, Predicted
from graftwork.labels.evaluation import ClassificationEvaluation, Judging
from graftwork.labels.images import Images
from graftwork.labels.task import Classifying, Naming
from graftwork.nn import graft
from graftwork.nn.dataset import Dataset
from graftwork.testing.toy_labels import ToyLabels


class Colours(ImageClassifier):
    """Mean colours as features; counts how often it looks."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace())
        self.module = nn.Sequential()
        self.module.classifier = nn.Linear(3, 3)
        self.looked: list[str] = []

    def default_sites(self) -> tuple[str, ...]:
        return ("classifier",)

    def head_sites(self) -> tuple[str, ...]:
        return ("classifier",)

    def prepare(self, data: Any) -> Any:
        return data

    def step(self, *args: Any, **settings: Any) -> Any:
        raise AssertionError("judging takes no step")

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        return None

    def fingerprint(self) -> str:
        return "colours"

    def predict(self, images: Images) -> Predicted:
        self.looked.append(images.picture_hash())
        kept = torch.tensor([i for i in range(len(images)) if i != 1 or not images.tolerant])
        rows = [images.image(int(i)).float().mean((1, 2)) / 255 for i in kept]
        features = torch.stack(rows)
        with torch.no_grad():
            logits = self.module.classifier(features)
        return Predicted(kept=kept, logits=logits, features=features, frozen_features=features)


class Domains(ToyLabels):
    """With sketches from elsewhere, and a label that noise has changed."""

    def domains(self) -> dict[str, ToyLabels]:
        return {"sketch": ToyLabels(examples=4, part="sketch")}

    def changed(self) -> dict[int, int]:
        return {2: 0}


def evaluation(data: Dataset | None = None, **settings: Any) -> ClassificationEvaluation:
    return Classifying().evaluation(Colours(), data or ToyLabels(), Judging(**settings))


def domains(made: ClassificationEvaluation) -> list[tuple[str, int, int]]:
    judged = made.classified(adapted=True)
    return [(one.domain, one.severity, len(one.labels)) for one in judged]


def test_the_test_set_comes_first_and_alone() -> None:
    made = evaluation()
    assert domains(made) == [("", 0, 6)]
    assert made.test.picture_hash() == ToyLabels(part="test").picture_hash()


def test_other_domains_and_corruptions() -> None:
    made = evaluation(Domains(), corruptions=("blur", "tint"), severities=(2, 5))
    assert domains(made) == [
        ("", 0, 6), ("sketch", 0, 4), ("blur", 2, 6), ("blur", 5, 6), ("tint", 2, 6), ("tint", 5, 6)
    ]  # fmt: skip
    blurred = made.classified(adapted=True)[3]
    assert not torch.allclose(blurred.features, made.classified(adapted=True)[0].features)


def test_some_images_are_enough() -> None:
    made = evaluation(Domains(), images=3, corruptions=("blur",), severities=(1,))
    assert domains(made) == [("", 0, 3), ("sketch", 0, 3), ("blur", 1, 3)]


def test_what_was_seen_is_kept_until_the_adapter_changes() -> None:
    made = evaluation()
    first = made.classified(adapted=True)
    assert made.classified(adapted=True) is first
    made.classified(adapted=False)
    assert len(made.backbone.looked) == 2
    made.forget()
    made.classified(adapted=True)
    made.classified(adapted=False)
    assert len(made.backbone.looked) == 3


def test_the_frozen_backbone_is_judged_without_the_head() -> None:
    made = evaluation()
    handle = graft(made.backbone.module, "linear-head", sites="classifier")
    with torch.no_grad():
        handle.sites["classifier"].classifier.bias.copy_(torch.tensor([0.0, 50.0, 0.0]))
    assert made.classified(adapted=True)[0].logits.argmax(1).tolist() == [1] * 6
    frozen = made.classified(adapted=False)[0].logits
    with torch.no_grad(), handle.disabled():
        assert torch.equal(frozen, made.backbone.predict(made.test).logits)


def test_predictions_name_classes_and_changed_labels() -> None:
    rows = evaluation(Domains()).predictions()
    assert [row["class"] for row in rows[:3]] == ["waves", "stripes", "rings"]
    assert {"image", "class", "frozen", "adapted", "probability"} == set(rows[0])
    assert rows[-1] == {"image": "train rings 2", "class": "waves", "trained as": "rings"}
    assert json.loads(json.dumps(rows)) == list(rows)


def test_images_that_cannot_be_read_are_left_out() -> None:
    class Tolerant(ToyLabels):
        tolerant = True

        def held_out(self) -> ToyLabels:
            return Tolerant(part="test")

    made = evaluation(Tolerant())
    judged = made.classified(adapted=True)[0]
    assert judged.kept.tolist() == [0, 2, 3, 4, 5]
    assert judged.labels.tolist() == [0, 2, 0, 1, 2]
    assert [row["image"] for row in made.predictions()][1] == "test rings 2"


def test_the_report_shows_every_domain() -> None:
    sheets = evaluation(Domains(), corruptions=("blur",), severities=(1, 4), shown=5).sheets()
    assert sheets.columns == 4  # as many as the smallest domain has
    assert sheets.rows["Test images, and other domains"] == ["test", "sketch", "blur 4"]
    assert sheets.frozen.shape == sheets.adapted.shape
    assert len(sheets.frozen) == 12
    assert sheets.adapted[0, :, :100].std() > 0.05


def sampled(paths: Sequence[Path], out: Path, top: int = 2) -> str:
    return Classifying().sample(evaluation(), paths, Naming(top=top), out, identity="x")


def test_images_on_disk_are_named(tmp_path: Path) -> None:
    said = sampled([Path("3.png"), Path("5.png")], tmp_path / "out")
    assert said.startswith("3.png ")
    lines = (tmp_path / "out" / "classes.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["image"] for row in rows] == ["3.png", "5.png"]
    first, second = rows[0]["classes"]
    assert first["probability"] >= second["probability"]
    assert {first["class"], second["class"]} <= {"waves", "stripes", "rings"}


def test_more_classes_than_there_are(tmp_path: Path) -> None:
    sampled([Path("0.png")], tmp_path / "out", top=9)
    row = json.loads((tmp_path / "out" / "classes.jsonl").read_text())
    assert sum(one["probability"] for one in row["classes"]) == pytest.approx(1, abs=1e-3)


def test_no_image_is_told(tmp_path: Path) -> None:
    with pytest.raises(GraftworkError, match="no image is given"):
        sampled([], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_domains_and_corruptions_have_names_of_their_own() -> None:
    class Foggy(ToyLabels):
        def domains(self) -> dict[str, ToyLabels]:
            return {"blur": ToyLabels(part="test")}

    assert len(domains(evaluation(Foggy()))) == 2
    with pytest.raises(GraftworkError, match=r"data\.domains: 'blur' is taken"):
        evaluation(Foggy(), corruptions=("blur",))


def test_no_severity_is_refused() -> None:
    with pytest.raises(GraftworkError, match="severities: is empty"):
        parse(Judging, {"severities": []}, "evaluate")
