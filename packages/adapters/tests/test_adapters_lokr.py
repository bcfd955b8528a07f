"""LoKr against its equation, numbers worked out on paper, published counts and PEFT."""

import copy

import pytest
import torch
from torch import nn

from graftwork.adapters.kronecker import factor_gradients, kronecker
from graftwork.adapters.lokr import LoKrConfig, split
from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft
from graftwork.nn.match import all_sites

DOUBLE = torch.float64
# in, out, how many: the attention projections of SD1.5's UNet.
SD15 = (
    (320, 320, 30),
    (640, 640, 30),
    (1280, 1280, 36),
    (768, 320, 10),
    (768, 640, 10),
    (768, 1280, 12),
)


class Model(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


def grafted(layer, **settings):
    model = Model(layer.double())
    handle = graft(model, "lokr", settings, sites="layer", dtype=DOUBLE)
    return model, handle.sites["layer"]


def test_four_by_four():
    """Methods file 4.4."""
    coarse, fine = torch.tensor([[1.0, 2], [3, 4]]), torch.tensor([[0.0, 1], [1, 0]])
    expected = [[0, 1, 0, 2], [1, 0, 2, 0], [0, 3, 0, 4], [3, 0, 4, 0]]
    assert kronecker(coarse, fine).tolist() == expected
    _, adapter = grafted(nn.Linear(4, 4), rank=4)
    adapter.load_state_dict({"coarse.down": coarse, "fine.down": fine})
    assert adapter.effective(torch.zeros(4, 4, dtype=DOUBLE)).tolist() == expected


def test_kronecker_is_torch_s():
    coarse, fine = torch.randn(3, 5), torch.randn(4, 2)
    torch.testing.assert_close(kronecker(coarse, fine), torch.kron(coarse, fine))


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"rank": 4}, 106_496),
        ({"rank": 4, "factor": 8}, 107_840),
        ({"rank": 8, "decompose_both": True}, 112_000),
    ],
)
def test_parameter_counts_on_sd15(settings, count):
    """Methods file 4.6."""
    cls = registry.find("adapters", "lokr").load()
    total = 0
    for cols, rows, times in SD15:
        with torch.device("meta"):
            site = all_sites(nn.Sequential(nn.Linear(cols, rows)))["0"]
            adapter = cls(site, parse(LoKrConfig, settings, ""))
        total += times * sum(p.numel() for p in adapter.parameters())
    assert total == count


def test_split():
    sides = {-1: (16, 20), 8: (8, 40), 7: (5, 64), 64: (5, 64)}
    assert {factor: split(320, factor) for factor in sides} == sides
    assert split(127, 16) == (1, 127)
    assert split(1, -1) == (1, 1)


@pytest.mark.parametrize("factor", [-1, 2, 3, 4, 7, 16])
def test_split_is_peft_s_with_the_smaller_first(factor):
    layer = pytest.importorskip("peft.tuners.lokr.layer", reason="compares with PEFT")
    for side in range(1, 400):
        assert split(side, factor) == tuple(sorted(layer.factorization(side, factor)))


def linear():
    return nn.Linear(24, 30), torch.randn(4, 3, 24, dtype=DOUBLE)


def conv2d():
    return nn.Conv2d(8, 12, (3, 2), stride=2, padding=1), torch.randn(2, 8, 9, 8, dtype=DOUBLE)


def pointwise():
    return nn.Conv2d(24, 30, 1), torch.randn(2, 24, 5, 4, dtype=DOUBLE)


@pytest.mark.parametrize("make", [linear, conv2d, pointwise])
@pytest.mark.parametrize(
    "settings",
    [{"rank": 1}, {"rank": 8}, {"rank": 1, "factor": 2}, {"rank": 1, "decompose_both": True}],
)
def test_peft(make, settings):
    peft = pytest.importorskip("peft", reason="compares with PEFT; pip install peft")
    torch.manual_seed(1)
    layer, x = make()
    layer, x = layer.double(), x.requires_grad_()
    config = peft.LoKrConfig(
        r=settings["rank"],
        alpha=3,
        decompose_factor=settings.get("factor", -1),
        decompose_both=settings.get("decompose_both", False),
        target_modules=["layer"],
        init_weights=False,
    )
    wrapped = peft.get_peft_model(Model(copy.deepcopy(layer)), config).double()
    named = {key: own for key, own in wrapped.named_parameters() if own.requires_grad}
    model, adapter = grafted(layer, alpha=3.0, **settings)
    factors = {}
    for key, own in adapter.named_parameters():
        prefix = "lokr_w1" if key.startswith("coarse") else "lokr_w2"
        other = "up" if key.endswith("down") else "down"
        whole = key.replace("down", other) not in adapter.state_dict()
        leaf = prefix if whole else f"{prefix}_{'a' if key.endswith('up') else 'b'}"
        factors[key] = next(tensor for name, tensor in named.items() if f".{leaf}." in name)
        own.data.copy_(factors[key].detach().reshape(own.shape))
    expected, actual = wrapped(x), model(x)
    torch.testing.assert_close(actual, expected)
    noise = torch.randn_like(actual)
    theirs = torch.autograd.grad(expected, [*factors.values(), x], noise)
    ours = torch.autograd.grad(actual, [*adapter.parameters(), x], noise)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other.reshape(one.shape))


@pytest.mark.parametrize("tokens", [1, 50])
def test_factor_gradients_by_blocks(tokens, monkeypatch):
    monkeypatch.setattr("graftwork.adapters.blocks._BLOCK", 300)
    torch.manual_seed(0)
    coarse, fine = (torch.randn(s, dtype=DOUBLE, requires_grad=True) for s in ((3, 5), (4, 6)))
    x, grad = torch.randn(tokens, 30, dtype=DOUBLE), torch.randn(tokens, 12, dtype=DOUBLE)
    expected = torch.autograd.grad(x @ torch.kron(coarse, fine).T, [coarse, fine], grad)
    actual = factor_gradients(x, grad, coarse.detach(), fine.detach())
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("make", [linear, pointwise])
def test_fast_path_is_taken_and_keeps_the_input_and_the_factors(make):
    layer, x = make()
    model, _ = grafted(layer, rank=1)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        output = model(x.requires_grad_())
    assert base(output.grad_fn) is not None
    allowed = {x.data_ptr(), layer._parameters["weight"].data_ptr()}
    assert {t.data_ptr() for t in kept if t.numel() > 36} <= allowed  # factors: 6 x 6 at most


def base(node):
    while node is not None and "Kronecker" not in type(node).__name__:
        node = node.next_functions[0][0] if node.next_functions else None
    return node


def test_prime_sides_take_the_definition():
    """A side that cannot be split leaves nothing to save, and still comes out right."""
    model, adapter = grafted(nn.Linear(7, 5), rank=2)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.normal_()
    x = torch.randn(3, 7, dtype=DOUBLE)
    output = model(x)
    assert base(output.grad_fn) is None
    layer = model.layer
    expected = x @ adapter.effective(layer._parameters["weight"]).T + layer.bias
    torch.testing.assert_close(output, expected)


def test_alpha_acts_where_both_factors_are_full():
    """PEFT's rule, not LyCORIS's."""
    _, adapter = grafted(nn.Linear(16, 16), rank=4, alpha=8.0)
    assert adapter.coarse.up is None
    assert adapter.fine.up is None
    assert adapter.scale == 2


def test_no_factor_of_zero():
    with pytest.raises(GraftworkError, match="factor"):
        grafted(nn.Linear(16, 16), factor=0)
