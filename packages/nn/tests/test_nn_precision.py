"""Dtypes: the adapter keeps its own, the output is the layer's; and what torch does with it."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from graftwork.nn import graft

METHODS = ["low-rank", "scale", "fast-scale", "gate"]


def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(36, 5))


def x():
    return torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backbone", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("adapter", [torch.float32, torch.float64, torch.bfloat16])
def test_every_pair_of_dtypes(method, backbone, adapter):
    model = build().to(backbone)
    handle = graft(model, method, sites="*", dtype=adapter)
    output = model(x().to(backbone))
    assert output.dtype == backbone
    output.sum().backward()
    for parameter in handle.parameters():
        assert parameter.dtype == parameter.grad.dtype == adapter
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("method", METHODS)
def test_adapters_are_float32_unless_asked_otherwise(method):
    handle = graft(build().bfloat16(), method, sites="*")
    assert {parameter.dtype for parameter in handle.parameters()} == {torch.float32}


@pytest.mark.parametrize("method", ["low-rank", "slow-low-rank", "scale"])
def test_half_precision_rounds_no_more_than_the_layer(method):
    """Against float64 with the same values, in steps of bfloat16."""
    model = build().bfloat16()
    handle = graft(model, method, sites="*")
    exact = build().double()
    exact.load_state_dict({k: t.double() for k, t in _own(model)})
    twin = graft(exact, method, sites="*", dtype=torch.float64)
    twin.load_state_dict({k: t.double() for k, t in handle.state_dict().items()})
    expected = exact(x().bfloat16().double())
    gap = (model(x().bfloat16()).double() - expected).abs().max() / expected.abs().max()
    assert gap < 0.02


def _own(model):
    return [(key, tensor) for key, tensor in model.state_dict().items() if ".grafts." not in key]


@pytest.mark.parametrize("method", METHODS)
def test_autocast(method):
    model = build()
    handle = graft(model, method, sites="*")
    expected = model(x())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = model(x())
    assert actual.dtype == torch.bfloat16
    torch.testing.assert_close(actual.float(), expected, rtol=0.05, atol=0.1)
    actual.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in handle.parameters())


def test_autocast_leaves_the_adapter_s_arithmetic_alone():
    """`effective` runs in the adapter's dtype although matmul would be cast."""
    model = nn.Sequential(nn.Linear(64, 64))
    handle = graft(model, "slow-low-rank", sites="*")
    adapter = handle.sites["0"]
    expected = adapter.effective(adapter.site.weight())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model[0].weight, expected)


@pytest.mark.parametrize("method", METHODS)
def test_compile_in_one_graph(method):
    model = build()
    handle = graft(model, method, sites="*")
    torch.compiler.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x()), model(x()))
    parameters = list(handle.parameters())
    ours = torch.autograd.grad(compiled(x()).square().sum(), parameters)
    theirs = torch.autograd.grad(model(x()).square().sum(), parameters)
    torch.testing.assert_close(ours, theirs)


def test_compiled_model_sees_switches():
    model = build()
    plain = model(x())
    handle = graft(model, "low-rank", sites="*")
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager")
    adapted = compiled(x())
    with handle.disabled():
        assert torch.equal(compiled(x()), plain)
    handle.weight = 0.5
    torch.testing.assert_close(compiled(x()), model(x()))
    handle.weight = 1.0
    torch.testing.assert_close(compiled(x()), adapted)
    handle.detach()
    torch.compiler.reset()
    assert torch.equal(compiled(x()), plain)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_gradient_checkpointing(method, reentrant):
    model = build()
    handle = graft(model, method, sites="*")
    given = x().requires_grad_()  # reentrant checkpoints need it
    parameters = list(handle.parameters())
    theirs = torch.autograd.grad(model(given).square().sum(), parameters)
    output = checkpoint(model, given, use_reentrant=reentrant)
    output.square().sum().backward()
    torch.testing.assert_close([p.grad for p in parameters], list(theirs))


def test_moving_the_model_moves_adapters():
    model = build()
    handle = graft(model, "low-rank", sites="*")
    expected = model(x())
    model.double()
    assert {parameter.dtype for parameter in handle.parameters()} == {torch.float64}
    torch.testing.assert_close(model(x().double()).float(), expected)


def test_adapters_are_made_on_the_layer_s_device():
    with torch.device("meta"):
        model = build()
    handle = graft(model, "low-rank", sites="*")
    assert {parameter.device.type for parameter in handle.parameters()} == {"meta"}
