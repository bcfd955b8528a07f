"""To merge: the output stays, the adapters go, and what would be wrong is refused."""

import copy

import pytest
import torch
from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import graft, grafts

DOUBLE = torch.float64


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)).double()


@pytest.fixture
def x():
    return torch.randn(4, 5, dtype=DOUBLE)


def on(model, method, **options):
    return graft(model, method, sites="*", dtype=DOUBLE, **options)


@pytest.mark.parametrize("weight", [1.0, 0.3, 0.0, -1.0])
@pytest.mark.parametrize("method", ["low-rank", "scale", "fast-scale"])
def test_merge_keeps_the_output_at_every_weight(model, x, method, weight):
    handle = on(model, method, weight=weight)
    expected = model(x)
    handle.merge()
    torch.testing.assert_close(model(x), expected)
    assert type(model[0]) is nn.Linear
    assert model[0].weight.requires_grad
    assert grafts(model) == {}


@pytest.mark.parametrize(
    ("merged", "other"),
    [("low-rank", "low-rank"), ("scale", "low-rank"), ("scale", "slow-low-rank")],
)
def test_one_of_two_can_be_merged_when_the_other_only_adds(model, x, merged, other):
    handle, stays = on(model, merged, name="a", weight=0.7), on(model, other, name="b", weight=0.4)
    expected = model(x)
    handle.merge()
    torch.testing.assert_close(model(x), expected)
    assert grafts(model) == {"b": stays}
    stays.detach()
    assert not torch.allclose(model(x), expected)


@pytest.mark.parametrize("other", ["scale", "gate"])
def test_a_merge_under_an_adapter_that_depends_on_the_weight_is_refused(model, x, other):
    handle, _ = on(model, "low-rank", name="a"), on(model, other, name="b")
    expected, state = model(x), copy.deepcopy(model.state_dict())
    with pytest.raises(GraftworkError, match="another graft here depends"):
        handle.merge()
    assert torch.equal(model(x), expected)
    assert all(torch.equal(model.state_dict()[key], tensor) for key, tensor in state.items())


def test_what_depends_on_the_input_cannot_be_merged(model):
    with pytest.raises(GraftworkError, match="gate cannot be merged"):
        on(model, "gate").merge()


def test_nan_is_not_merged_into_the_backbone(model):
    handle = on(model, "low-rank")
    handle.sites["2"].up.data[0, 0] = float("nan")
    before = model[0]._parameters["weight"].clone()
    with pytest.raises(GraftworkError, match=r"2\.up holds NaN"):
        handle.merge()
    assert torch.equal(model[0]._parameters["weight"], before), "half merged"


def test_a_shared_weight_is_not_changed_behind_the_other_layer_s_back():
    model = nn.ModuleDict({"tokens": nn.Embedding(7, 4), "head": nn.Linear(4, 7, bias=False)})
    model["head"].weight = model["tokens"].weight
    handle = graft(model, "low-rank", sites="tokens")
    with pytest.raises(GraftworkError, match="shared with another layer"):
        handle.merge()


def test_parts_are_merged_into_their_rows():
    model = nn.ModuleDict({"qkv": nn.Linear(4, 12).double()})
    x = torch.randn(3, 4, dtype=DOUBLE)
    before = model["qkv"].weight.detach().clone()
    handle = graft(model, "scale", sites=["*.q", "*.v"], dtype=DOUBLE)
    expected = model["qkv"](x)
    handle.merge()
    torch.testing.assert_close(model["qkv"](x), expected)
    assert torch.equal(model["qkv"].weight[4:8], before[4:8])


def test_merging_rounds_once():
    """In bfloat16 the merged weight is the exact sum, rounded."""
    model = nn.Sequential(nn.Linear(32, 32)).bfloat16()
    handle = graft(model, "low-rank", sites="*")
    adapter = handle.sites["0"]
    exact = model[0]._parameters["weight"].double() + (adapter.up @ adapter.down).double()
    handle.merge()
    step = (model[0].weight.double() - exact).abs() / exact.abs().clamp_min(1e-3)
    assert step.max() <= 2**-8
