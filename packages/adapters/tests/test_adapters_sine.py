"""Sine-LoRA and Sine-DoRA on every kind of layer, against a dense transcription in float64."""

import math

import pytest
import torch
from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import graft, load_graft

DOUBLE = torch.float64
LAYERS = {
    "linear": (lambda: nn.Linear(20, 12), (5, 20)),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, padding=1), (2, 4, 9)),
    "conv2d": (lambda: nn.Conv2d(4, 6, 3, stride=2), (2, 4, 9, 8)),
    "grouped": (lambda: nn.Conv2d(4, 6, 3, groups=2), (2, 4, 9, 8)),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2), (2, 2, 4, 4, 4)),
    "embedding": (lambda: nn.Embedding(30, 8), None),
}


def inputs(shape, dtype=DOUBLE):
    return torch.arange(30) if shape is None else torch.randn(shape).to(dtype)


def grafted(method, layer, *, dtype=DOUBLE, **settings):
    model = nn.Sequential(layer)
    handle = graft(model, method, {"rank": 2, **settings}, sites="0", dtype=dtype)
    adapter = handle.sites["0"]
    torch.manual_seed(1)
    adapter.up.data.normal_(std=0.3)
    return model, adapter


def dense_change(adapter, *, omega, scale):
    """(alpha / r) sin(omega B A) / sqrt(columns) in the shape of the layer's weight."""
    down, up = adapter.down.detach().double(), adapter.up.detach().double()
    change = scale * torch.sin(omega * (up @ down)) / math.sqrt(down.shape[1])
    whole = adapter.site.frozen()
    return change.T if adapter.site.kind == "embedding" else change.view(whole.shape)


def with_weight(layer, weight, x):
    state = {"weight": weight}
    return torch.func.functional_call(layer, state, (x,))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("method", ["sine-lora", "sine-dora"])
def test_dense_transcription(kind, method):
    torch.manual_seed(0)
    make, shape = LAYERS[kind]
    layer = make().double()
    plain = make().double()
    plain.load_state_dict(layer.state_dict())
    x = inputs(shape)
    model, adapter = grafted(method, layer, alpha=6.0, omega=90.0)
    direction = plain.weight.detach() + dense_change(adapter, omega=90.0, scale=3.0)
    expected = direction
    if method == "sine-dora":
        rows = direction.T if kind == "embedding" else direction.flatten(1)
        frozen = plain.weight.detach().T if kind == "embedding" else plain.weight.flatten(1)
        adapter.magnitude.data.mul_(torch.rand(len(rows), dtype=DOUBLE) + 0.5)
        rescaled = adapter.magnitude[:, None] / rows.norm(dim=1, keepdim=True) * rows
        expected = rescaled.T if kind == "embedding" else rescaled.view(direction.shape)
        assert frozen.shape == rows.shape
    torch.testing.assert_close(model(x), with_weight(plain, expected, x))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("method", ["sine-lora", "sine-dora"])
def test_the_sine_keeps_its_angle_on_a_bfloat16_backbone(kind, method):
    """omega B A reaches dozens of radians, where bfloat16 is 0.25 apart; the output may differ
    from float64 by its own rounding only."""
    torch.manual_seed(0)
    make, shape = LAYERS[kind]
    layer = make().bfloat16()
    layer.weight.data.mul_(0.01)
    if getattr(layer, "bias", None) is not None:
        layer.bias.data.zero_()
    x = inputs(shape, torch.bfloat16)
    model, adapter = grafted(method, layer, dtype=torch.float32, omega=200.0)
    adapter.up.data.normal_(std=1.0)
    assert (200 * (adapter.up @ adapter.down)).abs().max() > 20
    weight = layer._parameters["weight"].double()
    direction = weight + dense_change(adapter, omega=200.0, scale=1.0)
    if method == "sine-dora":
        rows = direction.T if kind == "embedding" else direction.flatten(1)
        ratio = adapter.magnitude.detach().double()[:, None] / rows.norm(dim=1, keepdim=True)
        direction = (ratio * rows).T if kind == "embedding" else (ratio * rows).view(weight.shape)
    plain = make().double()
    if getattr(plain, "bias", None) is not None:
        plain.bias.data.zero_()
    exact = with_weight(plain, direction, x if shape is None else x.double())
    gap = (model(x).double() - exact).abs().max() / exact.abs().max()
    assert gap < 2**-7


def test_sine_dora_by_hand():
    """V = W + sin(i j) / 2, W' = m V / ||V|| by row."""
    layer = nn.Linear(4, 4, bias=False).double()
    model, adapter = grafted("sine-dora", layer, rank=1, omega=100.0)
    adapter.down.data.copy_(torch.tensor([[1.0, 2, 3, 4]]))
    adapter.up.data.copy_(torch.tensor([[0.01], [0.02], [0.03], [0.04]], dtype=DOUBLE))
    adapter.magnitude.data.copy_(torch.tensor([1.0, 2, 3, 4]))
    weight = layer._parameters["weight"]
    sines = [[math.sin(i * j) / 2 for j in range(1, 5)] for i in range(1, 5)]
    direction = weight + torch.tensor(sines, dtype=DOUBLE)
    lengths = torch.tensor([[1.0], [2], [3], [4]], dtype=DOUBLE)
    expected = lengths * direction / direction.norm(dim=1, keepdim=True)
    torch.testing.assert_close(model(torch.eye(4, dtype=DOUBLE)), expected.T)
    torch.testing.assert_close(adapter.effective(weight).norm(dim=1), lengths.flatten())


def test_sine_dora_lets_no_gradient_through_the_norm():
    torch.manual_seed(0)
    _, adapter = grafted("sine-dora", nn.Linear(6, 5).double(), omega=40.0)
    weight = adapter.site.weight()
    sine = torch.sin(40 * adapter.up @ adapter.down) / math.sqrt(6)
    norm = (weight + sine).detach().norm(dim=1, keepdim=True)
    expected = adapter.magnitude[:, None] / norm * (weight + sine)
    noise = torch.randn_like(expected)
    parameters = list(adapter.parameters())
    ours = torch.autograd.grad(adapter.effective(weight), parameters, noise)
    theirs = torch.autograd.grad(expected, parameters, noise)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_sine_dora_of_a_row_of_zeros_stays_zero():
    layer = nn.Linear(3, 2).double()
    layer.weight.data[0] = 0
    model = nn.Sequential(layer)
    handle = graft(model, "sine-dora", {"rank": 1}, sites="0", dtype=DOUBLE)
    model(torch.randn(4, 3, dtype=DOUBLE)).sum().backward()
    assert all(p.grad.isfinite().all() for p in handle.parameters())


def tower():
    torch.manual_seed(0)
    return nn.ModuleDict(
        {"down": nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4)), "up": nn.Linear(4, 3)}
    )


@pytest.mark.parametrize("method", ["sine-lora", "sine-dora"])
def test_omega_by_site_first_match_wins(method, tmp_path):
    by_site = {"down.1": 10.0, "down.*": 20.0}
    settings = {"rank": 2, "omega": 77.0, "omega_by_site": by_site}
    handle = graft(tower(), method, settings, sites="*")
    expected = {"down.0": 20.0, "down.1": 10.0, "up": 77.0}
    assert {name: adapter.omega for name, adapter in handle.sites.items()} == expected
    handle.save(tmp_path / "saved")
    loaded = load_graft(tower(), tmp_path / "saved")
    assert {name: adapter.omega for name, adapter in loaded.sites.items()} == expected


@pytest.mark.parametrize("method", ["sine-lora", "sine-dora"])
@pytest.mark.parametrize(
    ("by_site", "words"),
    [
        ({"middle.*": 5.0}, r"adapter\.omega_by_site: 'middle\.\*': matches none .*'down\.0'"),
        ({"*": 5.0, "up": 6.0}, r"adapter\.omega_by_site: 'up': earlier patterns .*before them"),
        ({"up": -1.0}, "omega_by_site"),
    ],
)
def test_omega_by_site_that_decides_nothing_is_refused(method, by_site, words):
    model = tower()
    with pytest.raises(GraftworkError, match=words):
        graft(model, method, {"rank": 2, "omega_by_site": by_site}, sites="*")
    assert all(parameter.requires_grad for parameter in model.parameters())
