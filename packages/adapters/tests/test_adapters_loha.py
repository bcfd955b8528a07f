"""LoHa against its equation, numbers worked out on paper, PEFT and LyCORIS's layout."""

import pytest
import torch
from torch import nn

from graftwork.adapters.hadamard_sum import HadamardSum
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft

DOUBLE = torch.float64
NAMES = {
    "first_up": "hada_w1_a",
    "first_down": "hada_w1_b",
    "second_up": "hada_w2_a",
    "second_down": "hada_w2_b",
}


class Model(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


def grafted(layer, **settings):
    model = Model(layer.double())
    handle = graft(model, "loha", settings, sites="layer", dtype=DOUBLE)
    return model, handle.sites["layer"]


def fill(adapter, factors):
    adapter.load_state_dict({key: torch.tensor(value) for key, value in factors.items()})


def test_two_by_two():
    """Methods file 4.3."""
    _, adapter = grafted(nn.Linear(2, 2), rank=1)
    fill(
        adapter,
        {
            "first_up": [[1.0], [2]],
            "first_down": [[1.0, 3]],
            "second_up": [[2.0], [1]],
            "second_down": [[1.0, -1]],
        },
    )
    assert adapter.effective(torch.zeros(2, 2, dtype=DOUBLE)).tolist() == [[2, -6], [2, -6]]


def test_parameter_count_and_rank():
    """2 r (rows + cols) numbers for a change of rank r squared."""
    torch.manual_seed(0)
    _, adapter = grafted(nn.Linear(30, 20), rank=3, alpha=6.0)
    assert sum(p.numel() for p in adapter.parameters()) == 2 * 3 * (30 + 20)
    adapter.second_down.data.normal_()
    change = adapter.effective(torch.zeros(20, 30, dtype=DOUBLE))
    assert int(torch.linalg.matrix_rank(change)) == 9
    assert adapter.scale == 2


@pytest.mark.parametrize("rows", [7, 300])
def test_sum_by_blocks_has_the_gradients_of_its_equation(rows, monkeypatch):
    monkeypatch.setattr("graftwork.adapters.blocks._BLOCK", 1000)
    torch.manual_seed(0)
    shapes = [(rows, 40), (rows, 3), (3, 40), (rows, 3), (3, 40)]
    inputs = [torch.randn(shape, dtype=DOUBLE, requires_grad=True) for shape in shapes]
    weight, up1, down1, up2, down2 = inputs
    expected = weight + 0.7 * (up1 @ down1) * (up2 @ down2)
    actual = HadamardSum.apply(*inputs, 0.7)
    torch.testing.assert_close(actual, expected)
    noise = torch.randn_like(expected)
    ours = torch.autograd.grad(actual, inputs, noise)
    theirs = torch.autograd.grad(expected, inputs, noise)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def linear():
    return nn.Linear(7, 5), torch.randn(4, 3, 7, dtype=DOUBLE)


def conv2d():
    return nn.Conv2d(3, 6, (3, 2), stride=2, padding=1), torch.randn(2, 3, 9, 8, dtype=DOUBLE)


@pytest.mark.parametrize("make", [linear, conv2d])
def test_peft(make):
    peft = pytest.importorskip("peft", reason="compares with PEFT; pip install peft")
    torch.manual_seed(1)
    layer, x = make()
    x.requires_grad_()
    ours, theirs = copied(layer), copied(layer)
    config = peft.LoHaConfig(r=2, alpha=3, target_modules=["layer"], init_weights=False)
    wrapped = peft.get_peft_model(Model(theirs), config).double()
    model, adapter = grafted(ours, rank=2, alpha=3.0)
    named = {key: own for key, own in wrapped.named_parameters() if own.requires_grad}
    factors = {
        own: next(tensor for key, tensor in named.items() if name in key)
        for own, name in NAMES.items()
    }
    adapter.load_state_dict({key: tensor.detach() for key, tensor in factors.items()})
    expected, actual = wrapped(x), model(x)
    torch.testing.assert_close(actual, expected)
    noise = torch.randn_like(actual)
    theirs = torch.autograd.grad(expected, [*factors.values(), x], noise)
    own = [getattr(adapter, key) for key in factors]
    for one, other in zip(torch.autograd.grad(actual, [*own, x], noise), theirs, strict=True):
        torch.testing.assert_close(one, other)


def copied(layer):
    import copy

    return copy.deepcopy(layer).double()


def test_lycoris_factors_have_our_shapes():
    """`hada_w1_a` (out, r), `hada_w1_b` (r, in x kernel), ... as LyCORIS 4 lays them out."""
    _, adapter = grafted(nn.Conv2d(3, 6, (3, 2)), rank=2)
    shapes = {NAMES[key]: tuple(p.shape) for key, p in adapter.named_parameters()}
    assert shapes == {
        "hada_w1_a": (6, 2),
        "hada_w1_b": (2, 18),
        "hada_w2_a": (6, 2),
        "hada_w2_b": (2, 18),
    }


def test_start():
    """U(-1, 1) / sqrt(columns of the factor), and zeros in A2."""
    _, adapter = grafted(nn.Linear(400, 300), rank=20)
    bounds = {"first_up": 20, "first_down": 400, "second_up": 20}
    for key, parameter in adapter.named_parameters():
        values = parameter.detach() * bounds.get(key, 1) ** 0.5
        assert values.abs().max() <= 1
        assert float(values.std()) == pytest.approx(3**-0.5 if key in bounds else 0, rel=0.05)


def test_rank_above_the_site_is_refused():
    with pytest.raises(GraftworkError, match=r"adapter\.rank: 6 .* at most 5"):
        grafted(nn.Linear(7, 5), rank=6)
