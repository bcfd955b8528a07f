"""The losses of video LLMs: the kit's checks, and their equations written out."""

import math

import pytest
import torch

from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.testing import AnswerLossSuite
from graftwork.video.step import AnswerStep

DOUBLE = torch.float64


class TestLanguageModeling(AnswerLossSuite):
    name = "language-modeling"


class TestLabelSmoothing(AnswerLossSuite):
    name = "language-modeling"
    settings = {"label_smoothing": 0.1}
    zero_at_perfection = False


class TestLanguagePreservation(AnswerLossSuite):
    name = "language-preservation"


def loss(name: str, **settings: object):
    record = registry.find("losses", name)
    return record.load()(parse(record.settings_class(), settings, name))


def test_language_modeling_is_the_mean_surprise() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=DOUBLE)
    targets = torch.tensor([1, 2])
    total = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        total -= row[target] - math.log(sum(map(math.exp, row)))
    step = AnswerStep(targets=targets, logits=logits)
    assert loss("language-modeling")(step) == pytest.approx(total / 2, abs=1e-12)


def test_label_smoothing_spreads_a_share() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0]], dtype=DOUBLE)
    surprise = -logits.log_softmax(-1)[0]
    expected = 0.7 * surprise[1] + 0.3 * surprise.mean()
    step = AnswerStep(targets=torch.tensor([1]), logits=logits)
    found = loss("language-modeling", label_smoothing=0.3)(step)
    assert found == pytest.approx(float(expected), abs=1e-12)


def test_preservation_is_the_divergence_from_the_frozen_backbone() -> None:
    generator = torch.Generator().manual_seed(0)
    adapted, frozen = (torch.randn(4, 6, generator=generator, dtype=DOUBLE) for _ in range(2))
    p, q = frozen.softmax(-1), adapted.softmax(-1)
    expected = (p * (p.log() - q.log())).sum(-1).mean()
    step = AnswerStep(targets=torch.tensor([0]), adapted_free=adapted, frozen_free=frozen)
    assert loss("language-preservation")(step) == pytest.approx(float(expected), abs=1e-12)


def test_preservation_without_a_trigger_is_told() -> None:
    step = AnswerStep(targets=torch.tensor([0]))
    with pytest.raises(GraftworkError, match=r"set 'trigger' in \[data\]"):
        loss("language-preservation")(step)
