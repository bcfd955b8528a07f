"""The metrics against dense computations written out pair by pair, and against torchmetrics."""

import itertools
import statistics
from dataclasses import dataclass, field

import pytest
import torch
from torchmetrics.functional import pairwise_cosine_similarity

from graftwork.core import GraftworkError
from graftwork.metrics.balance import Balance
from graftwork.metrics.cosine import all_cosines, cosines
from graftwork.metrics.diversity import Diversity
from graftwork.metrics.features import FeatureConfig
from graftwork.metrics.fidelity import Fidelity
from graftwork.metrics.kps import KPS, harmonic_mean


@dataclass
class Pictures:
    """An evaluation whose samples are noise of the prompt and seed, and features are pixels."""

    subject_prompts: tuple[str, ...] = ("a photo of sks cat", "a drawing of sks cat")
    free_prompts: tuple[str, ...] = ("a photo of cat", "a drawing of cat")
    seeds: tuple[int, ...] = (0, 1, 2)
    change: float = 0.5
    asked: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def reference(self):
        return torch.cat([self.picture("reference", n, adapted=False) for n in range(4)])

    def picture(self, prompt, seed, *, adapted):
        generator = torch.Generator().manual_seed(sum(map(ord, prompt)) * 10 + seed)
        frozen, noise = torch.rand(2, 1, 3, 4, 4, generator=generator)
        return frozen + adapted * self.change * (noise - frozen)

    def samples(self, prompts, *, adapted):
        self.asked += [(prompt, adapted) for prompt in prompts]
        return torch.cat(
            [
                self.picture(prompt, seed, adapted=adapted)
                for prompt in prompts
                for seed in self.seeds
            ]
        )

    def features(self, images):
        return images.flatten(1) - 0.4


def cosine(a, b):
    """By hand, in float64."""
    a, b = a.flatten().double() - 0.4, b.flatten().double() - 0.4
    return ((a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()).item()


def value(metric, evaluation):
    return metric(FeatureConfig())(evaluation)


def test_kps_pair_by_pair():
    pictures = Pictures()

    def preserved(prompts):
        return statistics.mean(
            cosine(
                pictures.picture(prompt, seed, adapted=False),
                pictures.picture(prompt, seed, adapted=True),
            )
            for prompt, seed in itertools.product(prompts, pictures.seeds)
        )

    a, b = preserved(pictures.free_prompts), preserved([""])
    expected = {"kps": statistics.harmonic_mean([a, b]), "kps_prompts": a, "kps_empty": b}
    assert value(KPS, pictures) == pytest.approx(expected, rel=1e-6)


def test_kps_never_asks_for_the_trigger():
    pictures = Pictures()
    value(KPS, pictures)
    assert {prompt for prompt, _ in pictures.asked} == {*pictures.free_prompts, ""}
    assert pictures.asked.count(("", True)) == pictures.asked.count(("", False)) == 1


def test_kps_of_a_backbone_left_alone_is_one():
    assert value(KPS, Pictures(change=0.0))["kps"] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [(1.0, 1.0, 1.0), (0.5, 1.0, 2 / 3), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0), (-1.0, 1.0, 0.0)],
)
def test_harmonic_mean_has_no_pole(a, b, expected):
    assert harmonic_mean(a, b) == harmonic_mean(b, a) == pytest.approx(expected)


def test_harmonic_mean_is_continuous_at_zero():
    assert harmonic_mean(1e-12, 1.0) == pytest.approx(harmonic_mean(-1e-12, 1.0), abs=1e-11)


def test_opposite_pictures_give_kps_zero_and_negative_parts():
    class Inverted(Pictures):
        def picture(self, prompt, seed, *, adapted):
            frozen = super().picture(prompt, seed, adapted=False)
            return 0.8 - frozen if adapted else frozen

    found = value(KPS, Inverted())
    assert found["kps"] == 0
    assert found["kps_prompts"] == pytest.approx(-1, abs=1e-6)


def test_kps_without_free_prompts_is_refused():
    with pytest.raises(GraftworkError, match=r"set 'trigger' in \[data\]"):
        value(KPS, Pictures(free_prompts=()))


def test_fidelity_is_the_mean_over_all_pairs():
    pictures = Pictures()
    samples = pictures.samples(pictures.subject_prompts, adapted=True)
    pairs = [cosine(x, r) for x in samples for r in pictures.reference]
    assert len(pairs) == 6 * 4
    assert value(Fidelity, pictures)["fidelity"] == pytest.approx(statistics.mean(pairs), rel=1e-6)


def test_fidelity_of_the_references_themselves():
    class Same(Pictures):
        reference = property(lambda self: torch.full((3, 3, 4, 4), 0.9))

        def samples(self, prompts, *, adapted):
            return self.reference

    assert value(Fidelity, Same())["fidelity"] == pytest.approx(1.0)


def test_diversity_is_the_mean_over_pairs_of_seeds_of_each_prompt():
    pictures = Pictures()
    expected = statistics.mean(
        1 - cosine(*(pictures.picture(prompt, seed, adapted=True) for seed in pair))
        for prompt in pictures.subject_prompts
        for pair in itertools.combinations(pictures.seeds, 2)
    )
    assert value(Diversity, pictures)["diversity"] == pytest.approx(expected, rel=1e-6)


def test_an_adapter_that_draws_one_picture_has_no_diversity():
    class Memorised(Pictures):
        def picture(self, prompt, seed, *, adapted):
            return super().picture(prompt, 0, adapted=adapted)

    assert value(Diversity, Memorised())["diversity"] == pytest.approx(0.0, abs=1e-12)


def test_diversity_of_one_seed_is_refused():
    with pytest.raises(GraftworkError, match=r"raise evaluate\.seeds"):
        value(Diversity, Pictures(seeds=(7,)))


def test_cosines_agree_with_torchmetrics():
    a, b = torch.randn(5, 16, dtype=torch.float64), torch.randn(7, 16, dtype=torch.float64)
    theirs = pairwise_cosine_similarity(a, b)
    torch.testing.assert_close(all_cosines(a, b), theirs)
    torch.testing.assert_close(cosines(a, b[:5]), theirs.diagonal())


def test_the_cosine_with_nothing_is_zero():
    zero, some = torch.zeros(1, 8), torch.randn(1, 8)
    assert cosines(zero, some) == all_cosines(some, zero) == 0


@pytest.mark.parametrize("metric", [KPS, Fidelity, Diversity])
def test_pictures_with_nan_are_refused(metric):
    class Diverged(Pictures):
        def picture(self, prompt, seed, *, adapted):
            return super().picture(prompt, seed, adapted=adapted) + (torch.nan if adapted else 0.0)

    with pytest.raises(GraftworkError, match=r"NaN.*lower optimizer\.lr"):
        value(metric, Diverged())


@pytest.mark.parametrize("metric", [KPS, Fidelity, Diversity])
def test_a_backbone_without_features_gets_the_descriptor(metric):
    class Featureless(Pictures):
        def features(self, images):
            return None

    found = value(metric, Featureless())
    assert found == metric(FeatureConfig(features="descriptor"))(Pictures())
    assert found != value(metric, Pictures())
    assert all(isinstance(number, float) for number in found.values())


def test_balance_is_the_harmonic_mean_of_fidelity_and_kps():
    pictures = Pictures()
    fidelity = value(Fidelity, pictures)["fidelity"]
    kps = value(KPS, pictures)["kps"]
    assert fidelity > 0
    assert kps > 0
    expected = statistics.harmonic_mean([fidelity, kps])
    assert value(Balance, pictures)["balance"] == pytest.approx(expected)
