"""Losses of image classifiers against their published formulas, written out in float64."""

import pytest
import torch
from torch import Tensor

from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.labels.step import LabelStep
from graftwork.nn.loss import Loss

DOUBLE = torch.float64
LABELS = torch.tensor([2, 0, 1, 1])


def loss(name: str, **settings: object) -> Loss:
    record = registry.find("losses", name)
    return record.load()(parse(record.settings_class(), settings, name))


def logits(seed: int = 0) -> Tensor:
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE) * 2


def step(given: Tensor, indices: Tensor | None = None) -> LabelStep:
    indices = torch.tensor([5, 0, 3, 2]) if indices is None else indices
    return LabelStep(labels=LABELS, indices=indices, examples=6, logits=given)


def same(name: str, expected: Tensor, given: Tensor, **settings: object) -> None:
    """Value and gradient of a loss are those of a formula of the same logits."""
    ours = given.detach().clone().requires_grad_()
    value = loss(name, **settings)(step(ours))
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, given.grad)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy(smoothing: float) -> None:
    given = logits().requires_grad_()
    p = given.exp() / given.exp().sum(1, keepdim=True)
    target = (1 - smoothing) * torch.eye(3, dtype=DOUBLE)[LABELS] + smoothing / 3
    same("cross-entropy", -(target * p.log()).sum(1).mean(), given, label_smoothing=smoothing)


@pytest.mark.parametrize("q", [0.3, 0.7, 1.0])
def test_generalized_cross_entropy(q: float) -> None:
    given = logits().requires_grad_()
    p = given.softmax(1)[torch.arange(4), LABELS]
    same("generalized-cross-entropy", ((1 - p**q) / q).mean(), given, q=q)


def test_generalized_cross_entropy_between_its_limits() -> None:
    surprise = loss("cross-entropy")(step(logits()))
    assert loss("generalized-cross-entropy", q=1e-8)(step(logits())) == pytest.approx(
        float(surprise), rel=1e-6
    )
    wrong = 1 - logits().softmax(1)[torch.arange(4), LABELS]
    assert loss("generalized-cross-entropy", q=1.0)(step(logits())) == pytest.approx(
        float(wrong.mean())
    )


def test_symmetric_cross_entropy() -> None:
    given = logits().requires_grad_()
    p, onehot = given.softmax(1), torch.eye(3, dtype=DOUBLE)[LABELS]
    logged = torch.where(onehot > 0, 0.0, -4.0).double()
    expected = (0.3 * -(onehot * p.log()).sum(1) + 1.7 * -(p * logged).sum(1)).mean()
    same("symmetric-cross-entropy", expected, given, alpha=0.3, beta=1.7)


class Published:
    """Early-learning regularisation step by step, targets by hand."""

    def __init__(self, strength: float, momentum: float) -> None:
        self.strength, self.momentum = strength, momentum
        self.targets = torch.zeros(6, 3, dtype=DOUBLE)

    def __call__(self, given: Tensor, indices: Tensor) -> Tensor:
        p = given.softmax(1).clamp(1e-4, 1 - 1e-4)
        seen = (p / p.sum(1, keepdim=True)).detach()
        for row, index in enumerate(indices.tolist()):
            self.targets[index] = (
                self.momentum * self.targets[index] + (1 - self.momentum) * seen[row]
            )
        agreement = (p * self.targets[indices]).sum(1)
        surprise = -given.log_softmax(1)[torch.arange(len(given)), LABELS].mean()
        return surprise + self.strength * (1 - agreement).log().mean()


def test_early_learning_over_several_steps() -> None:
    ours = loss("early-learning", strength=2.0, momentum=0.8)
    theirs = Published(2.0, 0.8)
    for number, indices in enumerate([[5, 0, 3, 2], [1, 2, 3, 4], [5, 4, 0, 1]]):
        ours.progress = number / 3
        places = torch.tensor(indices)
        mine, other = (logits(number).requires_grad_() for _ in range(2))
        value, expected = ours(step(mine, places)), theirs(other, places)
        torch.testing.assert_close(value, expected)
        value.backward()
        expected.backward()
        torch.testing.assert_close(mine.grad, other.grad)


def test_early_learning_is_kept_in_checkpoints() -> None:
    whole, first = (loss("early-learning") for _ in range(2))
    for each in (whole, first):
        each(step(logits()))
    second = loss("early-learning")
    second.load_state({name: tensor.clone() for name, tensor in first.state().items()})
    for each in (whole, second):
        each.progress = 0.5
    assert torch.equal(whole(step(logits(1))), second(step(logits(1))))
    fresh = loss("early-learning")
    fresh.progress = 0.5
    assert not torch.equal(fresh(step(logits(1))), second(step(logits(1))))


def test_targets_move_once_a_step() -> None:
    learned = loss("early-learning")
    first = learned(step(logits()))
    assert torch.equal(learned(step(logits())), first)
    learned.progress = 0.1
    assert not torch.equal(learned(step(logits())), first)


def test_confident_predictions_stay_finite() -> None:
    for name in ("cross-entropy", "generalized-cross-entropy", "symmetric-cross-entropy"):
        for sure in (1e4, -1e4):
            given = (sure * torch.eye(3)[LABELS]).requires_grad_()
            value = loss(name)(step(given))
            value.backward()
            assert value.isfinite()
            assert given.grad.isfinite().all()
    learned = loss("early-learning", momentum=0.0)
    given = (1e4 * torch.eye(3)[LABELS]).requires_grad_()
    value = learned(step(given))
    value.backward()
    assert value.isfinite()
    assert given.grad.isfinite().all()
