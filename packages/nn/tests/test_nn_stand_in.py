"""Sites as linear layers: what a bridge to another library of methods computes with."""

import copy

import pytest
import torch
from torch import nn

from graftwork.nn.match import all_sites
from graftwork.nn.stand_in import SiteLinear, made_in_earnest, plain_linear


class Several(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3)
        self.convolution = nn.Conv2d(4, 6, (1, 2), groups=2)
        self.tokens = nn.Embedding(7, 4)
        self.qkv = nn.Linear(4, 12)


NAMES = ["linear", "convolution", "tokens", "qkv.k"]


@pytest.fixture
def sites():
    torch.manual_seed(0)
    return all_sites(Several().double())


@pytest.mark.parametrize("name", NAMES)
def test_it_shares_the_weight_and_has_none_of_its_own(sites, name):
    site = sites[name]
    layer, plain = SiteLinear(site), plain_linear(site)
    assert not list(layer.parameters())
    assert not layer.state_dict()
    assert isinstance(layer, nn.Linear)
    weight = site.weight().T if name == "tokens" else site.weight()
    assert layer.weight.data_ptr() == site.weight().data_ptr()
    assert (layer.out_features, layer.in_features) == tuple(plain.weight.shape) == weight.shape
    assert plain.weight.dtype == torch.float32
    assert torch.equal(plain.weight, weight.float())
    x = torch.randn(2, layer.in_features, dtype=torch.float64)
    assert torch.equal(layer(x), x @ weight.T)


def test_a_float32_weight_is_not_copied():
    [site] = all_sites(nn.ModuleDict({"a": nn.Linear(3, 2)})).values()
    assert plain_linear(site).weight.data_ptr() == site.frozen().data_ptr()


@pytest.mark.parametrize("name", NAMES)
def test_the_identity_tells_the_effective_weight(sites, name):
    """Against a layer that turns its input and adds to its output in place."""
    site = sites[name]
    layer = SiteLinear(site)
    turn = torch.linalg.qr(torch.randn(layer.in_features, layer.in_features).double())[0]
    extra = torch.randn(layer.out_features, layer.in_features).double()

    def run(x):
        output = layer(x)
        output += x @ extra.T
        return output + layer(x @ turn)

    matrix = torch.randn(site.rows, site.cols, dtype=torch.float64)
    before = matrix.clone()
    actual = layer.of_identity(matrix, nn.Dropout().train(), run)
    oriented = matrix.T if name == "tokens" else matrix
    expected = oriented + extra + oriented @ turn.T
    assert torch.allclose(actual, expected.T if name == "tokens" else expected)
    assert torch.equal(matrix, before)
    assert layer.weight.data_ptr() == site.weight().data_ptr()  # as it was


def test_a_known_output_is_used_and_kept(sites):
    layer = SiteLinear(sites["linear"])
    x, known = torch.randn(2, 5).double(), torch.randn(2, 3).double()
    before = known.clone()
    output = layer.answering(x, known, lambda x: layer(x).add_(1))
    assert torch.equal(output, known + 1)
    assert torch.equal(known, before)
    assert torch.equal(layer.answering(x, known, lambda x: layer(x.clone())), layer(x))
    assert not torch.equal(layer(x), known)


def test_a_deep_copy_stands_for_the_copied_layer():
    model = nn.ModuleDict({"a": nn.Linear(3, 2)})
    model["stand_in"] = SiteLinear(all_sites(model)["a"])
    twin = copy.deepcopy(model)
    assert twin["stand_in"].weight.data_ptr() == twin["a"].weight.data_ptr()


def test_making_in_earnest_on_the_meta_device_spares_the_generator(sites):
    before = torch.get_rng_state()
    with torch.device("meta"), made_in_earnest(sites["linear"]):
        assert not torch.randn(3).is_meta
    assert torch.equal(torch.get_rng_state(), before)
    with made_in_earnest(sites["linear"]):
        torch.randn(3)
    assert not torch.equal(torch.get_rng_state(), before)


def test_the_layer_is_judged_without_dropout_and_keeps_its_mode(sites):
    layer = SiteLinear(sites["linear"])
    dropout = nn.Sequential(layer, nn.Dropout(0.9))
    for trains in (True, False):
        dropout.train(trains)
        matrix = torch.randn(3, 5).double()
        assert torch.equal(layer.of_identity(matrix, dropout), matrix)
        assert dropout.training == dropout[1].training == trains
