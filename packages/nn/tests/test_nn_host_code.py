"""Adapters act whatever the host does with its layers: reads the weight, overrides the call."""

import copy
import functools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import graft, grafts

DOUBLE = torch.float64


class Doubling(nn.Linear):
    """A subclass whose forward calls the original."""

    def forward(self, x):
        return super().forward(2 * x) + 1


class OwnArithmetic(nn.Linear):
    """A subclass that reads its weight."""

    def forward(self, x):
        return F.linear(x, self.weight / 2, self.bias)


class Normalised(nn.Conv2d):
    """A convolution that standardises its weight."""

    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight, self.bias)


class Reader(nn.Module):
    """Applies its layer's weight without calling the layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return F.linear(x, self.layer.weight, self.layer.bias).relu()


class TiedReader(nn.Module):
    """Reads its token table a second time, as the output matrix."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(7, 4)

    def forward(self, ids):
        return self.tokens(ids) @ self.tokens.weight.T


def encoder():
    return nn.TransformerEncoderLayer(4, 2, dim_feedforward=6, batch_first=True, dropout=0.0)


MODELS = {
    "calls the original": (lambda: nn.Sequential(Doubling(4, 3)), (2, 4)),
    "own arithmetic": (lambda: nn.Sequential(OwnArithmetic(4, 3)), (2, 4)),
    "standardised": (lambda: nn.Sequential(Normalised(2, 3, 3)), (1, 2, 5, 5)),
    "reads the weight": (Reader, (2, 4)),
    "reads it twice": (TiedReader, None),
    "attention": (lambda: nn.MultiheadAttention(4, 2, batch_first=True), (2, 3, 4)),
    "encoder layer": (encoder, (2, 3, 4)),
}


def given(name):
    build, shape = MODELS[name]
    x = torch.randint(7, (2, 3)) if shape is None else torch.randn(shape, dtype=DOUBLE)
    model = build().double().eval()
    if isinstance(model, nn.MultiheadAttention):
        return model, lambda module: module(x, x, x)[0]
    return model, lambda module: module(x)


@pytest.mark.parametrize("grad", [True, False], ids=["grad", "no grad"])
@pytest.mark.parametrize("method", ["low-rank", "scale"])
@pytest.mark.parametrize("name", MODELS)
def test_weight_adapters_act_in_any_host(name, method, grad):
    """In evaluation without gradients torch's attention takes its fused path: also then."""
    model, call = given(name)
    before = call(model)
    handle = graft(model, method, sites="*", dtype=DOUBLE)
    twin = copy.deepcopy(model)
    with torch.set_grad_enabled(grad):
        adapted = call(model)
    assert not torch.allclose(adapted, before)
    grafts(twin)["default"].merge()
    torch.testing.assert_close(adapted, call(twin))
    handle.detach()
    torch.testing.assert_close(call(model), before)


@pytest.mark.parametrize("grad", [True, False], ids=["grad", "no grad"])
def test_an_activation_adapter_is_not_bypassed_by_the_fused_encoder(grad):
    model, call = given("encoder layer")
    handle = graft(model, "gate", sites="linear1", dtype=DOUBLE)
    with torch.set_grad_enabled(grad):
        adapted = call(model)
        with handle.disabled():
            assert not torch.allclose(adapted, call(model))


@pytest.mark.parametrize("name", ["own arithmetic", "attention"])
def test_an_activation_adapter_is_refused_where_it_would_see_no_input(name):
    model, _ = given(name)
    with pytest.raises(GraftworkError, match="does not show its input"):
        graft(model, "gate", sites="*")


def test_parts_of_a_fused_projection_leave_the_others_alone():
    model = nn.ModuleDict({"qkv": nn.Linear(4, 12).double()})
    x = torch.randn(3, 4, dtype=DOUBLE)
    before = model["qkv"](x)
    for method in ("low-rank", "scale", "fast-scale", "gate"):
        handle = graft(model, method, sites="*.v", dtype=DOUBLE)
        after = model["qkv"](x)
        assert list(handle.sites) == ["qkv.v"]
        assert torch.equal(after[:, :8], before[:, :8])
        assert not torch.allclose(after[:, 8:], before[:, 8:])
        handle.detach()
    first = graft(model, "low-rank", sites="*.q", dtype=DOUBLE, name="first")
    graft(model, "fast-scale", sites=["*.q", "*.v"], dtype=DOUBLE, name="second")
    assert torch.equal(model["qkv"](x)[:, 4:8], before[:, 4:8])
    first.detach()
    assert torch.equal(model["qkv"](x)[:, 4:8], before[:, 4:8])


def test_attention_parts_leave_the_others_alone():
    model, _ = given("attention")
    weight = model.in_proj_weight.detach().clone()
    graft(model, "scale", sites="in_proj.k", dtype=DOUBLE)
    after = model.in_proj_weight
    assert torch.equal(after[:4], weight[:4])
    assert torch.equal(after[8:], weight[8:])
    assert not torch.allclose(after[4:8], weight[4:8])


def hooked(layer):
    """Wrap the layer's forward on the instance, as accelerate does to move weights about."""
    original = layer.forward

    @functools.wraps(original)
    def forward(*args, **kwargs):
        return original(*args, **kwargs)

    layer.forward = forward
    layer._old_forward = original


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["low-rank", "scale"])
def test_forward_replaced_on_the_instance(when, method):
    model = nn.Sequential(nn.Linear(4, 3).double())
    x = torch.randn(2, 4, dtype=DOUBLE)
    plain = model(x)
    if when == "before":
        hooked(model[0])
    handle = graft(model, method, sites="*", dtype=DOUBLE)
    if when == "after":
        hooked(model[0])
    weight = handle.sites["0"].effective(handle.sites["0"].site.weight())
    torch.testing.assert_close(model(x), x @ weight.T + model[0].bias)
    handle.detach()
    assert torch.equal(model(x), plain)


def test_hooks_of_the_host_still_run():
    model = nn.Sequential(nn.Linear(4, 3))
    seen = []
    model[0].register_forward_hook(lambda layer, args, output: seen.append(output.shape))
    graft(model, "low-rank", sites="*")
    model(torch.randn(2, 4))
    assert seen == [(2, 3)]


def test_input_by_keyword():
    model = nn.Linear(4, 3).double()
    x = torch.randn(2, 4, dtype=DOUBLE)
    graft(model, "low-rank", sites="*", dtype=DOUBLE)
    torch.testing.assert_close(model(input=x), model(x))


def test_a_mistake_in_effective_does_not_pass_for_the_frozen_weight():
    """An AttributeError in a property would make torch hand out the parameter behind it."""
    model = Reader()
    graft(model, "mistyped", sites="*")
    with pytest.raises(RuntimeError, match="scael"):
        model(torch.randn(2, 4))


def test_padding_tokens_train_nothing():
    model = nn.Embedding(5, 3, padding_idx=1)
    for method in ("low-rank", "slow-low-rank"):
        handle = graft(model, method, sites="*")
        model(torch.tensor([[1, 1]])).sum().backward()
        assert all(p.grad is None or not p.grad.any() for p in handle.parameters())
        handle.detach()
