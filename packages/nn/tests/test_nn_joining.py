"""Adapters that share tensors: built together, counted, saved and moved once."""

import copy

import pytest
import torch
from torch import nn

from graftwork.core import AdapterSpec, hookimpl
from graftwork.nn import WeightAdapter, graft, grafts, load_graft


class Banked(WeightAdapter):
    """W' = W + s c 1^T with the scalar s its own and the column c everybody's."""

    def __init__(self, site, settings):
        super().__init__(site)
        self.own = nn.Parameter(torch.ones(()))

    @classmethod
    def join(cls, adapters):
        first, *others = adapters.values()
        first.shared = nn.ParameterDict({"column": nn.Parameter(torch.randn(4, 1))})
        for other in others:
            other.__dict__["shared"] = first.shared

    def effective(self, weight):
        return weight + self.own * self.shared["column"]


class Plugin:
    @hookimpl
    def adapters(self):
        target = f"{__name__}:Banked"
        return [AdapterSpec(name="banked", target=target, summary="b", family="weight")]


@pytest.fixture(autouse=True)
def _registered(manager):
    manager.register(Plugin(), "banked")


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4)).eval()


def test_what_is_shared_counts_once_and_follows_the_seed():
    handle = graft(build(), "banked", sites="*", seed=1)
    assert list(handle.state_dict()) == ["0.own", "0.shared.column", "2.own"]
    assert handle.num_parameters() == 6
    again = graft(build(), "banked", sites="*", seed=1).state_dict()["0.shared.column"]
    other = graft(build(), "banked", sites="*", seed=2).state_dict()["0.shared.column"]
    assert torch.equal(handle.state_dict()["0.shared.column"], again)
    assert not torch.equal(again, other)


def test_building_together_spares_the_generator():
    model = build()
    before = torch.get_rng_state()
    graft(model, "banked", sites="*")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loaded_graft_shares_again(tmp_path):
    handle = graft(build(), "banked", sites="*", dtype=torch.float64)
    x = torch.randn(2, 3)
    output = handle.model(x)
    model = build()
    loaded = load_graft(model, handle.save(tmp_path / "a"))
    assert torch.equal(model(x), output)
    first, second = loaded.sites.values()
    assert first.shared is second.shared
    assert first.shared["column"].dtype == torch.float64
    loaded.merge()
    assert torch.allclose(model(x), output, atol=1e-6)


def test_a_deep_copy_shares_within_itself():
    handle = graft(build(), "banked", sites="*")
    first, second = grafts(copy.deepcopy(handle.model))["default"].sites.values()
    assert first.shared is second.shared
    assert first.shared is not handle.sites["0"].shared
