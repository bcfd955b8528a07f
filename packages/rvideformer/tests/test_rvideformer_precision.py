"""Half precision, compiling, and the layers that adapters sit on."""

import pytest
import torch
from torch import nn

from graftwork.backbones.rvideformer import attending
from graftwork.backbones.rvideformer.merging import merge
from graftwork.backbones.rvideformer.packed import PackedLinear
from graftwork.backbones.rvideformer.precision import KeepsFloat32


@pytest.mark.parametrize(("dtype", "error"), [(torch.bfloat16, 3e-2), (torch.float16, 4e-3)])
def test_half_precision_keeps_the_stream_in_float32(tiny, dtype, error):
    model = tiny(depths=(4, 1, 1, 1, 1, 1, 1))
    clip = torch.rand(1, 2, 4, 32, 32)
    with torch.no_grad():
        expected = model(clip)
        half = model.to(dtype)
        out = half(clip)
    for module in half.modules():
        kept = torch.float32 if isinstance(module, KeepsFloat32) else dtype
        assert all(p.dtype == kept for p in module.parameters(recurse=False))
    assert out.dtype == torch.float32
    assert 0 < (out - expected).abs().max() < error * (expected - clip).abs().max()


def test_autocast_keeps_the_stream_in_float32(tiny):
    model = merge(tiny())
    clip = torch.rand(1, 2, 4, 32, 32)
    seen = []
    model.conv_last.register_forward_hook(lambda layer, given, out: seen.append(out.dtype))
    with torch.no_grad():
        expected = model(clip)
        with torch.autocast("cpu", torch.bfloat16):
            out = model(clip)
    assert seen == [torch.float32] * 2
    assert out.dtype == torch.float32
    assert 0 < (out - expected).abs().max() < 5e-2 * (expected - clip).abs().max()


def test_training_under_autocast_reaches_every_parameter(tiny):
    model = tiny(depths=(2, 1, 1, 1, 1, 1, 1))
    clip = torch.rand(1, 2, 4, 32, 32)
    grads = []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            (model(clip) - clip.flip(1)).pow(2).mean().backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert torch.cosine_similarity(*grads, dim=0) > 0.99


def test_a_stage_compiles_into_one_graph(tiny):
    stage = tiny(depths=(3, 1, 1, 1, 1, 1, 1)).stages[0]  # two temporal blocks, one of them shifted
    x = torch.rand(1, 3, 36, 32, 12)
    with torch.no_grad():
        compiled = torch.compile(stage, backend="eager", fullgraph=True)
        assert (compiled(x) - stage(x)).abs().max() < 1e-6


@pytest.mark.skipif(
    hasattr(attending.attend, "__wrapped__"),
    reason="the compiler cannot trace a run-time type check inside an autograd.Function",
)
def test_training_compiles_into_one_graph(tiny):
    group = tiny(refinement_depths=(2,)).refinement[0]
    x = torch.rand(1, 1, 16, 16, 12)
    compiled = torch.compile(group, backend="aot_eager", fullgraph=True)
    table = group.blocks[1].attn.window_bias
    one, other = (torch.autograd.grad(each(x).sin().sum(), table)[0] for each in (compiled, group))
    assert (one - other).abs().max() < 1e-4 * other.abs().max()


@pytest.mark.parametrize("form", ["training", "merged"])
def test_every_layer_acts_through_its_own_call(tiny, form):
    model = tiny(depths=(2, 1, 1, 1, 1, 1, 1))
    model = merge(model) if form == "merged" else model
    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    called = []
    for name, layer in layers.items():
        layer.register_forward_hook(lambda layer, given, out, name=name: called.append(name))
    with torch.no_grad():
        model(torch.rand(1, 2, 4, 32, 32))
    assert sorted(called) == sorted(layers)  # each one, once


def test_packed_layers_tell_their_parts(tiny):
    model = tiny(depths=(2, 1, 1, 1, 1, 1, 1))
    packed = {n: m for n, m in model.named_modules() if isinstance(m, PackedLinear)}
    attention = "stages.0.temporal.blocks.0.attn"
    assert packed[f"{attention}.window_qkv"].parts == {
        "q": 12, "k": 12, "v": 12, "pooled_q": 6, "coarse_q": 6
    }  # fmt: skip
    assert packed[f"{attention}.mutual.window_qkv"].parts == {
        "q": 12, "k": 12, "v": 12, "coarse_q": 6
    }  # fmt: skip
    for layer in packed.values():
        assert sum(layer.parts.values()) == layer.out_features
        assert type(layer).forward is nn.Linear.forward


def test_nothing_but_weights_is_in_a_state_dict(tiny):
    model = tiny(depths=(4, 1, 1, 1, 1, 1, 1))
    with torch.no_grad():
        model(torch.rand(1, 3, 4, 32, 40))
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
