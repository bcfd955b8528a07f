"""Broken adapters of learned words, each of which the check named beside it must catch."""

import itertools

import pytest
import torch
from torch import nn

from graftwork.core import hookimpl, plugins
from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import PluginManager
from graftwork.core.records import AdapterSpec
from graftwork.nn import TokenAdapter, WeightAdapter, grafting, load_graft
from graftwork.nn.adapter import Placeholder
from graftwork.testing import TokenSuite, tokens


@config
class Settings:
    """Settings of the specimen."""

    placeholder: str = ""
    """The word."""
    initial: str = ""
    """Words to start from."""


class Specimen(TokenAdapter):
    """A sound adapter: a word and its opposite, two vectors each."""

    def __init__(self, site, settings):
        super().__init__(site)
        if not settings.placeholder:
            raise GraftworkError("placeholder: is empty; write a word")
        self.settings = settings
        self.learned = nn.Parameter(torch.randn(4, site.rows))

    def placeholders(self):
        word, initial = self.settings.placeholder, self.settings.initial
        return (
            Placeholder(word=word, vectors=2, initial=initial),
            Placeholder(word=f"{word}-neg", vectors=2, opposes=word),
        )

    @torch.no_grad()
    def start(self, weight):
        self.learned.mul_(weight.norm(dim=0).mean() / len(weight) ** 0.5)
        for index, number in enumerate(self.initial_ids.get(self.settings.placeholder, ())):
            self.learned[index] = weight[:, number]

    def vectors(self):
        return self.learned


class OneRowOff(Specimen):
    def forward(self, ids, frozen):
        return super().forward(ids + 1, frozen)


class ChangesOldRows(Specimen):
    def forward(self, ids, frozen):
        return super().forward(ids, frozen * 1.0001)


class ForgetsAWord(Specimen):
    def placeholders(self):
        return super().placeholders()[:1]


class OpposesNobody(Specimen):
    def placeholders(self):
        word = self.settings.placeholder
        return (
            Placeholder(word=word, vectors=2),
            Placeholder(word=f"{word}-neg", vectors=2, opposes="someone"),
        )


class DeadParameter(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.unused = nn.Parameter(torch.ones(3))


class TrainsTheTable(Specimen):
    def forward(self, ids, frozen):
        with torch.no_grad():
            self.site.frozen()[3] += 1e-3
        return super().forward(ids, frozen)


class StartsAnyhow(Specimen):
    start = TokenAdapter.start


class IgnoresWords(Specimen):
    def placeholders(self):
        word = self.settings.placeholder
        return (
            Placeholder(word=word, vectors=2),
            Placeholder(word=f"{word}-neg", vectors=2, opposes=word),
        )


class CountsGrafts(Specimen):
    count = itertools.count()

    def __init__(self, site, settings):
        super().__init__(site, settings)
        nn.init.constant_(self.learned, next(self.count))


class AlwaysTheSame(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        nn.init.ones_(self.learned)


class ActsOutside(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.hook = [site.layer.register_forward_hook(lambda layer, args, y: y * 1.01)]


class CountsItsOwnIds(Specimen):
    @property
    def first_id(self):
        return 11

    @first_id.setter
    def first_id(self, value): ...


class OneWordForAll(Specimen):
    def placeholders(self):
        return (Placeholder(word="always", vectors=4),)


class LosesScale(Specimen):
    def start(self, weight):
        super().start(weight)
        self.scale = float(weight.norm())

    def vectors(self):
        return getattr(self, "scale", 1.0) * self.learned


class DrawsOnLoading(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        torch.rand(1, device="cpu")


class CastsDown(Specimen):
    def vectors(self):
        return self.learned.bfloat16()


class RoundsTwice(Specimen):
    def forward(self, ids, frozen):
        return super().forward(ids, frozen) * torch.ones((), dtype=frozen.dtype) * 1.01


class BranchesOnData(Specimen):
    def vectors(self):
        return self.learned if float(self.learned.detach().sum()) != 0 else 0 * self.learned


class HoldsAClosure(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.vectors = lambda: Specimen.vectors(self)


class LearnsBackwards(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.learned.register_hook(torch.neg)


class TakesNoWord(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, Settings(placeholder=settings.placeholder or "nothing"))


class AWeight(WeightAdapter):
    def __init__(self, site, settings):
        super().__init__(site)
        self.scale = nn.Parameter(torch.ones(site.rows, 1))

    def effective(self, weight):
        return self.scale * weight


MUTANTS = [
    (OneRowOff, "test_new_ids_give_the_vectors"),
    (ChangesOldRows, "test_new_ids_give_the_vectors"),
    (ForgetsAWord, "test_words_name_every_vector"),
    (OpposesNobody, "test_words_name_every_vector"),
    (DeadParameter, "test_only_the_vectors_train"),
    (TrainsTheTable, "test_only_the_vectors_train"),
    (StartsAnyhow, "test_it_starts_near_the_table"),
    (IgnoresWords, "test_it_starts_from_words"),
    (CountsGrafts, "test_seed_decides"),
    (AlwaysTheSame, "test_seed_decides"),
    (ActsOutside, "test_disabled_and_detached_are_the_backbone"),
    (CountsItsOwnIds, "test_two_grafts_number_their_words_in_turn"),
    (OneWordForAll, "test_two_grafts_number_their_words_in_turn"),
    (LosesScale, "test_saved_is_loaded"),
    (DrawsOnLoading, "test_saved_is_loaded"),
    (CastsDown, "test_half_precision_backbone"),
    (RoundsTwice, "test_half_precision_backbone"),
    (BranchesOnData, "test_machinery"),
    (HoldsAClosure, "test_machinery"),
    (LearnsBackwards, "test_it_learns"),
    (TakesNoWord, "test_bad_sites_and_words_are_refused"),
    (AWeight, "test_target_loads"),
]


class Offer:
    def __init__(self, cls, **changes):
        self.record = {
            "name": "specimen",
            "target": f"{__name__}:{cls.__name__}",
            "config": f"{__name__}:Settings",
            "summary": "a specimen",
            "family": "token",
            "mergeable": False,
            **changes,
        }

    @hookimpl
    def adapters(self):
        return [AdapterSpec(**self.record)]


def offering(cls, **changes):
    manager = PluginManager()
    manager.register(Offer(cls, **changes), "offer")
    return plugins.use(manager)


class Suite(TokenSuite):
    name = "specimen"


class TestSpecimen(Suite):
    """The sound adapter passes, so what a mutant is caught for is its fault."""

    plugin = "graftwork.core"

    @pytest.fixture(autouse=True)
    def _offer(self):
        with offering(Specimen):
            yield


def run(check, suite, tmp_path):
    method = getattr(suite, check)
    takes_folder = "tmp_path" in method.__code__.co_varnames[: method.__code__.co_argcount]
    method(tmp_path) if takes_folder else method()


CAUGHT = (AssertionError, pytest.fail.Exception, GraftworkError, RuntimeError, KeyError)


@pytest.mark.parametrize(
    ("mutant", "check"), MUTANTS, ids=[f"{cls.__name__}-{check}" for cls, check in MUTANTS]
)
def test_mutant_is_caught(mutant, check, tmp_path):
    with offering(mutant), pytest.raises(CAUGHT) as caught:
        run(check, Suite(), tmp_path)
    assert str(caught.value).strip()


def test_a_record_that_says_mergeable_is_caught(tmp_path):
    with offering(Specimen, mergeable=True), pytest.raises(AssertionError, match="say False"):
        run("test_it_is_not_merged", Suite(), tmp_path)


def test_a_lenient_loader_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "load_graft", lambda model, path: None)
    with offering(Specimen), pytest.raises(pytest.fail.Exception, match="accepted"):
        run("test_a_file_of_another_size_is_refused", Suite(), tmp_path)


def test_a_loader_that_draws_is_caught(tmp_path, monkeypatch):
    def careless(model, path):
        torch.rand(1)
        return load_graft(model, path)

    monkeypatch.setattr(tokens, "load_graft", careless)
    with offering(Specimen), pytest.raises(AssertionError, match="generator"):
        run("test_saved_is_loaded", Suite(), tmp_path)


def test_words_that_may_be_taken_twice_are_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(grafting.words, "refuse_taken_words", lambda model, adapters: None)
    with offering(Specimen), pytest.raises(pytest.fail.Exception, match="accepted"):
        run("test_two_grafts_number_their_words_in_turn", Suite(), tmp_path)


def test_a_site_that_may_be_anything_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(grafting, "check_family", lambda spec, cls, site: None)
    with offering(Specimen), pytest.raises(pytest.fail.Exception, match="accepted"):
        run("test_bad_sites_and_words_are_refused", Suite(), tmp_path)
