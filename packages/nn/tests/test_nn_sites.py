"""One matrix for every layer: what a site says agrees with what the layer does."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from graftwork.core.errors import GraftworkError
from graftwork.nn import graft
from graftwork.nn.layers import as_site
from graftwork.nn.match import all_sites

LAYERS = {
    "linear": (nn.Linear(5, 4), (2, 3, 5)),
    "linear without bias": (nn.Linear(5, 4, bias=False), (5,)),
    "one wide": (nn.Linear(1, 1), (3, 1)),
    "conv1d": (nn.Conv1d(4, 6, 3, stride=2, padding=1), (2, 4, 9)),
    "conv1d unbatched": (nn.Conv1d(4, 6, 3), (4, 9)),
    "conv2d": (nn.Conv2d(3, 4, (3, 2), padding=(1, 0)), (2, 3, 6, 5)),
    "conv2d unbatched": (nn.Conv2d(3, 4, 3), (3, 6, 5)),
    "conv2d grouped": (nn.Conv2d(4, 6, 3, groups=2, dilation=2), (2, 4, 7, 7)),
    "conv2d depthwise": (nn.Conv2d(4, 8, 3, groups=4, bias=False), (2, 4, 5, 5)),
    "conv2d same": (nn.Conv2d(3, 4, (1, 3), padding="same"), (2, 3, 5, 5)),
    "conv2d circular": (nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), (2, 3, 5, 5)),
    "conv2d reflect": (nn.Conv2d(3, 4, 3, padding=2, padding_mode="reflect"), (2, 3, 5, 5)),
    "conv3d": (nn.Conv3d(2, 4, (1, 2, 2), groups=2), (1, 2, 3, 4, 4)),
    "embedding": (nn.Embedding(7, 4), None),
    "embedding with padding": (nn.Embedding(7, 4, padding_idx=2), None),
}


def given(name):
    layer, shape = LAYERS[name]
    x = torch.randint(7, (2, 3)) if shape is None else torch.randn(shape, dtype=torch.float64)
    return layer.double(), as_site(layer, "layer"), x


def without_bias(layer, x):
    bias, layer.bias = getattr(layer, "bias", None), None
    y = layer(x)
    layer.bias = bias
    return y


@pytest.mark.parametrize("name", LAYERS)
def test_weight_is_the_layer_s_own(name):
    layer, site, x = given(name)
    weight = site.weight()
    assert weight.shape == (site.rows, site.cols)
    assert weight.data_ptr() == layer.weight.data_ptr(), "a view, never a copy"
    torch.testing.assert_close(site.shaped(weight), layer.weight)
    torch.testing.assert_close(site.apply(x, weight), without_bias(layer, x))


@pytest.mark.parametrize("name", LAYERS)
def test_down_and_up_apply_the_product(name):
    _, site, x = given(name)
    a = torch.randn(3, site.cols, dtype=torch.float64)
    b = torch.randn(site.rows, 3, dtype=torch.float64)
    torch.testing.assert_close(site.up(site.down(x, a), b), site.apply(x, b @ a))


@pytest.mark.parametrize("name", LAYERS)
def test_channels_scale_rows(name):
    _, site, x = given(name)
    scale = torch.randn(site.rows, dtype=torch.float64)
    scaled = site.apply(x, scale[:, None] * site.weight())
    torch.testing.assert_close(site.channels(scale) * site.apply(x, site.weight()), scaled)


@pytest.mark.parametrize("name", LAYERS)
def test_bias_belongs_to_the_rows(name):
    layer, site, x = given(name)
    if site.bias is not None:
        whole = site.apply(x, site.weight()) + site.channels(site.bias)
        torch.testing.assert_close(whole, layer(x))


def test_down_takes_x_in_any_dtype():
    _, site, _ = given("linear")
    a = torch.randn(2, 5)
    assert site.down(torch.randn(3, 5, dtype=torch.bfloat16), a).dtype == torch.float32


def test_fused_projection_is_three_sites():
    model = nn.ModuleDict({"qkv": nn.Linear(4, 12), "to_qkv": nn.Linear(4, 8)})
    sites = all_sites(model)
    assert list(sites) == ["qkv.q", "qkv.k", "qkv.v", "to_qkv"]  # 8 is no three times 4
    weight, bias = model["qkv"].weight, model["qkv"].bias
    for index, part in enumerate("qkv"):
        site = sites[f"qkv.{part}"]
        rows = slice(4 * index, 4 * index + 4)
        assert torch.equal(site.weight(), weight[rows])
        assert torch.equal(site.bias, bias[rows])


def test_torch_attention_has_packed_sites_and_an_output():
    model = nn.ModuleDict({"attention": nn.MultiheadAttention(6, 2)})
    sites = all_sites(model)
    names = [f"attention.{name}" for name in ("in_proj.q", "in_proj.k", "in_proj.v", "out_proj")]
    assert list(sites) == names
    layer = model["attention"]
    assert torch.equal(sites["attention.in_proj.v"].weight(), layer.in_proj_weight[12:])
    assert torch.equal(sites["attention.in_proj.v"].bias, layer.in_proj_bias[12:])
    assert not any(site.observable for site in sites.values())


def test_bare_attention_is_a_site_too():
    assert next(iter(all_sites(nn.MultiheadAttention(6, 2)))) == "in_proj.q"


def test_attention_of_differing_widths_has_only_its_output():
    model = nn.MultiheadAttention(6, 2, kdim=4, vdim=5)
    assert list(all_sites(model)) == ["out_proj"]


@pytest.mark.parametrize(
    "layer",
    [
        nn.LazyLinear(4),
        nn.Embedding(7, 4, max_norm=1.0),  # rewrites its weight in forward
        parametrizations.weight_norm(nn.Linear(3, 3)),  # computes its weight
        nn.ConvTranspose2d(3, 3, 3),
        nn.LayerNorm((2, 4)),  # scales two axes at once
        nn.LayerNorm(4, elementwise_affine=False),
        nn.ReLU(),
    ],
    ids=repr,
)
def test_what_cannot_be_adapted_is_no_site(layer):
    assert as_site(layer, "layer") is None


def test_integer_weight_is_no_site():
    layer = nn.Linear(3, 3)
    layer.weight = nn.Parameter(torch.ones(3, 3, dtype=torch.int8), requires_grad=False)
    assert as_site(layer, "layer") is None


def test_a_plugin_can_teach_a_layer(manager):
    from graftwork.core import hookimpl
    from graftwork.nn import Site

    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel = nn.Parameter(torch.randn(3, 2))

        def forward(self, x):
            return x @ self.kernel.T

    class Plugin:
        @hookimpl
        def as_site(self, module, name):
            if isinstance(module, Mine):
                return Site(
                    name=name, layer=module, kind="linear", parameter="kernel", observable=False
                )
            return None

    manager.register(Plugin(), "mine")
    assert list(all_sites(nn.ModuleDict({"a": Mine(), "b": nn.Linear(2, 2)}))) == ["a", "b"]

    model = nn.ModuleDict({"a": Mine()})
    x = torch.randn(4, 2)
    before = model["a"](x)
    handle = graft(model, "scale", sites="a")
    scale = handle.sites["a"].scale
    torch.testing.assert_close(model["a"](x), before * scale.flatten())


def test_norms_are_sites_for_those_who_ask() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.RMSNorm(3), nn.LayerNorm((2, 3)))
    assert list(all_sites(model)) == ["0"]
    norms = all_sites(model, norms=True)
    assert list(norms) == ["0", "1", "2"]  # a weight over two axes is no column
    assert [(site.rows, site.cols) for site in norms.values()] == [(3, 3), (3, 1), (3, 1)]
    x = torch.randn(5, 3)
    for site in (norms["1"], norms["2"]):
        assert torch.equal(site.apply(x, 2 * site.weight(), site.bias), 2 * site.layer(x))


def test_a_method_of_matrices_meets_no_norm() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    with pytest.raises(GraftworkError, match="'1' matches '1', which is not a layer"):
        graft(model, "scale", sites="1")
    assert list(graft(model, "scale", sites="*").sites) == ["0"]
