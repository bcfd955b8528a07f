"""Broken adapters, each of which the check named beside it must catch."""

import dataclasses
import itertools
import random
from typing import Annotated

import pytest
import torch
from torch import nn

from graftwork.core import hookimpl, plugins
from graftwork.core.config import Ge, Lt, config
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import PluginManager
from graftwork.core.records import AdapterSpec
from graftwork.nn import ActivationAdapter, WeightAdapter, grafted, load_graft
from graftwork.testing import AdapterSuite
from graftwork.testing.adapter import files


@config
class Settings:
    """Settings of the specimen."""

    rank: Annotated[int, Ge(1)] = 2
    """Rank."""
    alpha: float = 1.0
    """Scale times rank."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Dropout."""


class Specimen(WeightAdapter):
    """A sound adapter: W + s B A with a fast path, dropout and a buffer."""

    additive = True

    def __init__(self, site, settings):
        super().__init__(site)
        if settings.rank > min(site.rows, site.cols):
            raise GraftworkError(f"rank {settings.rank} is too large for '{site.name}'")
        self.down = nn.Parameter(torch.randn(settings.rank, site.cols))
        self.up = nn.Parameter(torch.zeros(site.rows, settings.rank))
        self.scale = settings.alpha / settings.rank
        self.dropout = nn.Dropout(settings.dropout)
        self.register_buffer("gate", torch.rand(site.rows, 1) + 0.5)

    def mixed(self):
        return self.scale * self.gate * self.up

    def effective(self, weight):
        return weight + self.mixed() @ self.down

    def forward(self, x, frozen):
        x = self.dropout(x) if x.is_floating_point() else x
        return frozen + self.site.up(self.site.down(x, self.down), self.mixed())


class NoFastPath(Specimen):
    """The same on the definition alone."""

    forward = WeightAdapter.forward


class StartsElsewhere(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        nn.init.ones_(self.up)


class DeadParameter(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.unused = nn.Parameter(torch.ones(3))


class AllZero(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        nn.init.zeros_(self.down)


class NothingTrainable(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.requires_grad_(False)


class UnfreezesBackbone(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.thaw = [site.layer.register_forward_pre_hook(_thaw)]


def _thaw(layer, args):
    layer._parameters["bias"] = nn.Parameter(layer._parameters["bias"].detach().clone())


class RandomWeight(NoFastPath):
    def effective(self, weight):
        return super().effective(weight) + 1e-3 * torch.randn_like(weight)


class FastPathOff(Specimen):
    def forward(self, x, frozen):
        return super().forward(x, frozen) * 1.001


class FastPathGradientOff(Specimen):
    def forward(self, x, frozen):
        hidden = self.site.down(x, self.down.detach())
        return frozen + self.site.up(hidden, self.mixed())


class WronglyAdditive(NoFastPath):
    """A scale of rows declared additive takes the bias along."""

    def effective(self, weight):
        return (1 + self.up.sum(1, keepdim=True)) * weight + super().effective(weight) - weight

    def forward(self, x, frozen):
        scale = self.site.channels(1 + self.up.sum(1))
        return scale * frozen + Specimen.forward(self, x, frozen) - frozen


class InputDependent(ActivationAdapter):
    """Not a function of the weight, yet its record says that it merges."""

    def __init__(self, site, settings):
        super().__init__(site)
        self.scale = nn.Parameter(torch.zeros(site.rows))

    def forward(self, x, frozen):
        return frozen + self.site.channels(self.scale) * frozen.tanh()


class MergesOtherwise(Specimen):
    def effective(self, weight):
        change = super().effective(weight) - weight
        return weight + (change if torch.is_grad_enabled() else 0.99 * change)


class DropsInEvaluation(Specimen):
    def forward(self, x, frozen):
        x = torch.dropout(x, 0.5, True) if x.is_floating_point() else x
        return frozen + self.site.up(self.site.down(x, self.down), self.mixed())


class IgnoresDropout(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, dataclasses.replace(settings, dropout=0.0))


class RemembersWeight(NoFastPath):
    def effective(self, weight):
        self.seen = getattr(self, "seen", None)
        self.seen = weight.clone() if self.seen is None else self.seen
        return super().effective(self.seen)


class WritesIntoWeight(NoFastPath):
    def effective(self, weight):
        with torch.no_grad():
            weight.mul_(1.0001)
        return super().effective(weight)


class ActsOutside(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.hook = [site.layer.register_forward_hook(lambda layer, args, y: y * 1.01)]


class SharesParameters(Specimen):
    shared = {}

    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.up = self.shared.setdefault((site.rows, site.layer), self.up)


class CountsSites(Specimen):
    count = itertools.count()

    def __init__(self, site, settings):
        super().__init__(site, settings)
        nn.init.constant_(self.down, 0.1 * next(self.count))


class OwnChance(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        nn.init.constant_(self.down, random.random())


class RegistersOnHost(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        site.layer.register_buffer("mark", torch.ones(1))


class HoldsAClosure(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.forward = lambda x, frozen: Specimen.forward(self, x, frozen)


class LearnsBackwards(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.up.register_hook(torch.neg)
        self.down.register_hook(torch.neg)


class TakesAnyRank(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, dataclasses.replace(settings, rank=1))


class ComplainsInTorch(Specimen):
    def __init__(self, site, settings):
        if settings.rank > min(site.rows, site.cols):
            raise ValueError("rank")
        super().__init__(site, settings)


class LosesScale(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.scale = 1.0

    def start(self, weight):
        self.scale = float(weight.norm())


class LosesBuffer(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.register_buffer("gate", self.gate, persistent=False)


class DropsATensor(Specimen):
    def state_dict(self, *args, **kwargs):
        state = super().state_dict(*args, **kwargs)
        return {key: tensor for key, tensor in state.items() if not key.endswith("up")}


class HalfArithmetic(Specimen):
    """A sharp function of a product taken in the layer's own precision."""

    def change(self, dtype):
        return torch.sin(200 * self.up.to(dtype) @ self.down.to(dtype))

    def effective(self, weight):
        return weight + self.change(self.site.frozen().dtype).to(weight.dtype)


class HalfUnderAutocast(Specimen):
    def forward(self, x, frozen):
        product = self.site.up(self.site.down(x, self.down), self.up)
        return frozen + torch.sin(200 * product)

    def effective(self, weight):
        return weight + 0 * self.up @ self.down


class DoesNotMove(Specimen):
    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.table = torch.ones(settings.rank, settings.rank)

    def mixed(self):
        return super().mixed() @ self.table


class RemembersCalls(Specimen):
    def forward(self, x, frozen):
        self.calls = getattr(self, "calls", 0) + 1
        return frozen + self.calls * (super().forward(x, frozen) - frozen)


class BranchesOnData(Specimen):
    def forward(self, x, frozen):
        return super().forward(x, frozen) if float(self.up.detach().sum()) != 0 else frozen


MUTANTS = [
    (StartsElsewhere, "test_identity_at_start"),
    (DeadParameter, "test_gradient_reaches_every_parameter"),
    (AllZero, "test_gradient_reaches_every_parameter"),
    (NothingTrainable, "test_only_the_adapter_trains"),
    (RandomWeight, "test_evaluation_is_deterministic"),
    (FastPathOff, "test_fast_path_equals_definition"),
    (FastPathGradientOff, "test_fast_path_equals_definition"),
    (WronglyAdditive, "test_fast_path_equals_definition"),
    (InputDependent, "test_merge_equals_forward"),
    (MergesOtherwise, "test_merge_equals_forward"),
    (DropsInEvaluation, "test_evaluation_is_deterministic"),
    (IgnoresDropout, "test_dropout_acts_in_training"),
    (RemembersWeight, "test_follows_the_backbone"),
    (WritesIntoWeight, "test_backbone_bits_survive_use"),
    (WritesIntoWeight, "test_detach_restores_the_backbone"),
    (ActsOutside, "test_disabled_is_the_backbone"),
    (SharesParameters, "test_similar_names_stay_apart"),
    (CountsSites, "test_seed_decides"),
    (OwnChance, "test_seed_decides"),
    (RegistersOnHost, "test_host_keys_stay"),
    (RegistersOnHost, "test_detach_restores_the_backbone"),
    (HoldsAClosure, "test_deepcopy_is_independent"),
    (LearnsBackwards, "test_it_learns"),
    (TakesAnyRank, "test_rank_above_size_is_refused"),
    (ComplainsInTorch, "test_rank_above_size_is_refused"),
    (LosesScale, "test_saved_is_loaded"),
    (LosesBuffer, "test_saved_is_loaded"),
    (DropsATensor, "test_saved_is_loaded"),
    (HalfArithmetic, "test_half_precision_backbone"),
    (HalfUnderAutocast, "test_autocast"),
    (DoesNotMove, "test_moves_to_another_dtype"),
    (RemembersCalls, "test_gradient_checkpointing"),
    (BranchesOnData, "test_compiles"),
]


class Offer:
    """A plugin that offers one adapter."""

    def __init__(self, cls, **changes):
        self.record = {
            "name": "specimen",
            "target": f"{__name__}:{cls.__name__}",
            "config": f"{__name__}:Settings",
            "summary": "a specimen",
            "family": "weight" if issubclass(cls, WeightAdapter) else "activation",
            **changes,
        }

    @hookimpl
    def adapters(self):
        return [AdapterSpec(**self.record)]


def offering(cls, **changes):
    """A manager that knows one adapter besides the installed plugins."""
    manager = PluginManager()
    manager.register(Offer(cls, **changes), "offer")
    return plugins.use(manager)


class Suite(AdapterSuite):
    name = "specimen"


class TestSpecimen(Suite):
    """The sound adapter passes, so what a mutant is caught for is its fault."""

    plugin = "graftwork.core"
    offer = staticmethod(lambda: offering(Specimen))

    @pytest.fixture(autouse=True)
    def _offer(self):
        with self.offer():
            yield

    def pytest_generate_tests(self, metafunc):
        with self.offer():
            super().pytest_generate_tests(metafunc)


class TestActivationSpecimen(TestSpecimen):
    """A sound adapter that depends on the input passes too, where it sees one."""

    offer = staticmethod(lambda: offering(InputDependent, mergeable=False, config=None))


def run(check, suite, tmp_path):
    """Run a check as pytest would, on every toy that it takes."""
    method = getattr(suite, check)
    names = method.__code__.co_varnames[1 : method.__code__.co_argcount]
    for toy in suite.toys(only=getattr(method, "toys", None)) if "toy" in names else [None]:
        folder = tmp_path / (toy.name if toy else "all")
        folder.mkdir()
        given = {"toy": toy, "tmp_path": folder}
        method(**{name: given[name] for name in names})


CAUGHT = (AssertionError, pytest.fail.Exception, GraftworkError, RuntimeError, KeyError)


@pytest.mark.parametrize(
    ("mutant", "check"), MUTANTS, ids=[f"{cls.__name__}-{check}" for cls, check in MUTANTS]
)
def test_mutant_is_caught(mutant, check, tmp_path):
    with offering(mutant), pytest.raises(CAUGHT) as caught:
        run(check, Suite(), tmp_path)
    assert str(caught.value).strip()


class ThinksItStartsElsewhere(Suite):
    identity_at_start = False


class ThinksItRefuses(Suite):
    unsupported = {"conv1d": "not yet"}


class NamesNoReason(Suite):
    unsupported = {"conv1d": " "}


@pytest.mark.parametrize(
    ("suite", "check"),
    [
        (ThinksItStartsElsewhere, "test_identity_at_start"),
        (ThinksItRefuses, "test_unsupported_sites_are_refused"),
        (NamesNoReason, "test_unsupported_sites_are_refused"),
    ],
)
def test_wrong_capability_is_caught(suite, check, tmp_path):
    with offering(Specimen), pytest.raises(CAUGHT):
        run(check, suite(), tmp_path)


@pytest.mark.parametrize(
    "check",
    [
        "test_truncated_file_is_refused",
        "test_nan_is_refused",
        "test_other_shape_is_refused",
        "test_missing_tensor_is_refused",
    ],
)
def test_lenient_loader_is_caught(check, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "load_graft", lambda model, path: None)
    with offering(Specimen), pytest.raises(pytest.fail.Exception, match="accepted"):
        run(check, Suite(), tmp_path)


def test_loader_that_draws_is_caught(tmp_path, monkeypatch):
    def careless(model, path):
        torch.rand(1)
        return load_graft(model, path)

    monkeypatch.setattr(files, "load_graft", careless)
    with offering(Specimen), pytest.raises(AssertionError, match="generator"):
        run("test_loading_spares_the_generator", Suite(), tmp_path)


def test_grafts_that_do_not_add_up_are_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(grafted, "_mix", lambda part, members, change: change(part, members[0][1]))
    with offering(Specimen), pytest.raises(AssertionError, match="add up"):
        run("test_grafts_compose", Suite(), tmp_path)
