"""LoRA and DoRA give PEFT's outputs and gradients when they are given PEFT's weights."""

import pytest
import torch
from torch import nn

from graftwork.nn import graft

peft = pytest.importorskip("peft", reason="compares with Hugging Face PEFT; pip install peft")

DOUBLE = torch.float64


class Model(nn.Module):
    """One layer with a name, as PEFT wants it."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


def linear():
    return nn.Linear(7, 5), torch.randn(4, 3, 7, dtype=DOUBLE)


def conv2d():
    layer = nn.Conv2d(3, 6, (3, 2), stride=2, padding=1)
    return layer, torch.randn(2, 3, 9, 8, dtype=DOUBLE)


def pointwise():
    return nn.Conv2d(4, 6, 1, bias=False), torch.randn(2, 4, 5, 5, dtype=DOUBLE)


def embedding():
    return nn.Embedding(11, 6), torch.randint(11, (4, 5))


def pair(make, method, ours, theirs):
    """The same layer under PEFT and under graftwork, with the same random factors."""
    torch.manual_seed(1)
    layer, x = make()
    state = {key: tensor.double() for key, tensor in layer.state_dict().items()}
    layer.double()
    wrapped = peft.get_peft_model(
        Model(layer), peft.LoraConfig(target_modules=["layer"], use_dora=method == "dora", **theirs)
    ).double()
    base = wrapped.base_model.model.layer
    torch.manual_seed(2)
    names = {"down": None, "up": None, "magnitude": None}
    for name, parameter in wrapped.named_parameters():
        if "lora_A" in name or "lora_embedding_A" in name:
            names["down"] = parameter
        elif "lora_B" in name or "lora_embedding_B" in name:
            names["up"] = parameter
        elif "magnitude" in name:
            names["magnitude"] = parameter
    with torch.no_grad():
        for parameter in filter(lambda p: p is not None, names.values()):
            parameter.add_(0.3 * torch.rand_like(parameter))
    fresh = make()[0].double()
    fresh.load_state_dict(state)
    model = Model(fresh)
    handle = graft(model, method, ours, sites="layer", dtype=DOUBLE)
    adapter = handle.sites["layer"]
    adapter.load_state_dict(
        {key: names[key].detach().reshape(p.shape) for key, p in adapter.named_parameters()}
    )
    assert base is not fresh
    return wrapped, names, model, adapter, x


def agree(make, method, ours, theirs):
    wrapped, names, model, adapter, x = pair(make, method, ours, theirs)
    x = x.requires_grad_(x.is_floating_point())
    inputs = [x] if x.requires_grad else []
    outputs = [wrapped(x), model(x)]
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-10, atol=1e-10)
    weights = torch.randn_like(outputs[0])
    keys = [key for key, _ in adapter.named_parameters()]
    expected = torch.autograd.grad((outputs[0] * weights).sum(), [names[k] for k in keys] + inputs)
    actual = torch.autograd.grad((outputs[1] * weights).sum(), [*adapter.parameters(), *inputs])
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other.reshape(one.shape), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", [linear, conv2d, pointwise, embedding])
@pytest.mark.parametrize("alpha", [2.0, 5.0])
def test_lora(make, alpha):
    theirs = {"r": 2, "lora_alpha": alpha, "init_lora_weights": True}
    agree(make, "lora", {"rank": 2, "alpha": alpha}, theirs)


def test_rank_stabilized_lora():
    theirs = {"r": 4, "lora_alpha": 3.0, "use_rslora": True}
    agree(linear, "lora", {"rank": 4, "alpha": 3.0, "rank_stabilized": True}, theirs)


@pytest.mark.parametrize("make", [linear, conv2d, pointwise])
@pytest.mark.parametrize("alpha", [2.0, 5.0])
def test_dora(make, alpha):
    agree(make, "dora", {"rank": 2, "alpha": alpha}, {"r": 2, "lora_alpha": alpha})
