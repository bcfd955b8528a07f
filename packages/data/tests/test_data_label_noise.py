"""Label noise: exact shares, nested seeds, transition matrices, and labels from a file."""

from pathlib import Path
from typing import Any

import pytest
import torch

from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.data.labelled.label_set import TrainingSet
from graftwork.data.labelled.noise import class_dependent, symmetric

LABELS = torch.arange(4000) % 5


def digits(**settings: Any) -> TrainingSet:
    record = registry.find("datasets", "digits")
    own = {"classes": ["0", "1", "2"], "per_class": 40, **settings}
    return record.load()(parse(record.settings_class(), own, "digits"))


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.999])
def test_symmetric_noise_is_exact(share: float) -> None:
    noisy = symmetric(LABELS, share, classes=5, seed=3)
    assert int((noisy != LABELS).sum()) == round(share * 4000)
    assert noisy.min() >= 0
    assert noisy.max() < 5


def test_symmetric_noise_is_even() -> None:
    noisy = symmetric(LABELS, 0.5, classes=5, seed=3)
    for label in range(5):
        wrong = noisy[(label == LABELS) & (noisy != LABELS)]
        counts = torch.bincount(wrong, minlength=5).double()
        others = counts[torch.arange(5) != label]
        assert counts[label] == 0
        # Four equal chances among about 400.
        assert float((others - others.mean()).square().sum() / others.mean()) < 16.3  # p = 0.001


def test_more_noise_includes_less() -> None:
    little, much = (symmetric(LABELS, share, classes=5, seed=3) for share in (0.1, 0.3))
    changed = little != LABELS
    assert torch.equal(much[changed], little[changed])


def test_another_seed_is_another_noise() -> None:
    one, other = (symmetric(LABELS, 0.2, classes=5, seed=seed) for seed in (1, 2))
    assert not torch.equal(one, other)
    assert torch.equal(one, symmetric(LABELS, 0.2, classes=5, seed=1))


def test_a_matrix_gives_its_chances() -> None:
    matrix = torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.2, 0.2, 0.6]]).double()
    labels = torch.arange(9000) % 3
    noisy = class_dependent(labels, matrix, seed=0)
    for label in range(3):
        shares = torch.bincount(noisy[labels == label], minlength=3) / 3000
        torch.testing.assert_close(shares.double(), matrix[label], atol=0.035, rtol=0)
    assert (noisy[labels == 1] == 1).all()


def test_training_labels_alone_are_noisy() -> None:
    clean, noisy = digits(), digits(noise=0.25)
    assert len(noisy.changed()) == 30
    assert noisy.held_out().hash() == clean.held_out().hash()
    for place, before in noisy.changed().items():
        assert clean.label(place) == before != noisy.label(place)


def test_a_matrix_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "matrix.csv"
    path.write_text("0,1,0\n0,0,1\n1,0,0\n")
    data = digits(noise_matrix=str(path))
    assert torch.equal(data.labels(), (data.given + 1) % 3)


def test_labels_from_a_file(tmp_path: Path) -> None:
    clean = digits()
    path = tmp_path / "labels.csv"
    path.write_text(f"image,label\n{clean.name(0)},2\n{clean.name(5)},0\n")
    data = digits(noise_file=str(path))
    assert (data.label(0), data.label(5)) == (2, 0)
    others = [place for place in range(len(data)) if place not in (0, 5)]
    assert [data.label(place) for place in others] == [clean.label(place) for place in others]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0,1\n1,0\n", "is not 3 x 3, one for each class"),
        ("0,1,0\n0,0,1\n1,0,1\n", "the row of '2' sums to 2"),
        ("0,1,0\n0,0,1\n2,0,-1\n", "the row of '2'"),
        ("0,1,0\n0,x,1\n1,0,0\n", "write numbers alone"),
        (None, r"matrix\.csv: cannot be read"),
    ],
)
def test_matrices_that_are_none(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "matrix.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(GraftworkError, match=told):
        digits(noise_matrix=str(path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("picture,label\nx,0\n", "has no columns 'image' and 'label'"),
        ("image,label\ndigit -1,0\n", "line 2: 'digit -1' is no training image"),
        ("image,label\nNAME,7\n", "line 2: '7' is no class"),
        ("", "has no columns"),
    ],
)
def test_label_files_that_do_not_fit(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text.replace("NAME", digits().name(0)))
    with pytest.raises(GraftworkError, match=told):
        digits(noise_file=str(path))
