"""The methods against numbers worked out on paper, or by a transcription of their equations."""

import math

import pytest
import torch
from torch import nn

from graftwork.adapters.dora import row_norms
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft

DOUBLE = torch.float64


def layer(weight):
    """A linear layer with a given weight, alone in a model."""
    weight = torch.tensor(weight, dtype=DOUBLE)
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=DOUBLE)
    linear.weight.data.copy_(weight)
    return nn.Sequential(linear)


def on(model, method, down, up, **settings):
    """A graft with given factors; returns the handle and the adapter of the only site."""
    handle = graft(model, method, {"rank": len(down), **settings}, sites="0", dtype=DOUBLE)
    (adapter,) = handle.sites.values()
    adapter.down.data.copy_(torch.tensor(down, dtype=DOUBLE))
    adapter.up.data.copy_(torch.tensor(up, dtype=DOUBLE))
    return handle, adapter


def change(adapter):
    weight = adapter.site.weight()
    return adapter.effective(weight) - weight


def test_lora():
    _, adapter = on(layer([[0.0, 0], [0, 0]]), "lora", [[1.0, 2]], [[3.0], [4]], alpha=2.0)
    assert change(adapter).tolist() == [[6, 12], [8, 16]]


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({}, 1),
        ({"alpha": 8.0}, 2),
        ({"alpha": 8.0, "rank_stabilized": True}, 4),
        ({"rank_stabilized": True}, 2),
    ],
)
def test_lora_scale(settings, scale):
    handle = graft(layer([[0.0] * 5] * 4), "lora", {"rank": 4, **settings}, sites="0")
    assert handle.sites["0"].scale == scale


def test_initial_values_follow_kaiming():
    model = nn.Sequential(nn.Linear(400, 300))
    adapter = graft(model, "lora", {"rank": 100}, sites="*").sites["0"]
    assert adapter.down.abs().max() <= 1 / math.sqrt(400)
    assert float(adapter.down.detach().std()) == pytest.approx(1 / math.sqrt(3 * 400), rel=0.02)
    assert not adapter.up.any()


def test_parameter_counts():
    """r (rows + cols), and the rows' lengths in DoRA; SD1.5's 128 projections at rank 4."""
    wide, context = (320, 640, 1280), 768
    blocks = {320: 5, 640: 5, 1280: 6}  # transformer blocks of each width
    shapes = [
        shape
        for width in wide
        for _ in range(blocks[width])
        for shape in [(width, width)] * 6 + [(width, context)] * 2
    ]
    counts = {"lora": 0, "dora": 0, "sine-lora": 0}
    for rows, cols in shapes:
        for method in counts:
            with torch.device("meta"):
                model = nn.Sequential(nn.Linear(cols, rows))
            counts[method] += _count(model, method)
    assert len(shapes) == 128
    assert counts == {"lora": 797_184, "dora": 897_024, "sine-lora": 797_184}


def _count(model, method):
    from graftwork.core import registry
    from graftwork.core.config import parse
    from graftwork.nn.match import all_sites

    record = registry.find("adapters", method)
    with torch.device("meta"):
        adapter = record.load()(
            all_sites(model)["0"], parse(record.settings_class(), {"rank": 4}, "")
        )
    return sum(parameter.numel() for parameter in adapter.parameters())


def test_dora():
    _, adapter = on(layer([[3.0, 4], [0, 2]]), "dora", [[3.0, 4]], [[1.0], [0]])
    assert adapter.magnitude.tolist() == [5, 2]
    assert change(adapter).abs().max() < 1e-12  # a change of length alone is taken back
    adapter.magnitude.data.copy_(torch.tensor([10.0, 4.0]))
    torch.testing.assert_close(
        adapter.effective(adapter.site.weight()), torch.tensor([[6.0, 8], [0, 4]], dtype=DOUBLE)
    )


def test_dora_lets_no_gradient_through_the_norm():
    model = layer([[3.0, 4], [1, 2]])
    _, adapter = on(model, "dora", [[1.0, 3]], [[0.5], [-1]])
    weight = adapter.site.weight()
    direction = weight + adapter.up @ adapter.down
    norm = direction.detach().norm(dim=1, keepdim=True)
    expected = adapter.magnitude[:, None] / norm * direction
    projection = torch.tensor([[1.0, -2], [3, 5]], dtype=DOUBLE)
    parameters = list(adapter.parameters())
    ours = torch.autograd.grad((adapter.effective(weight) * projection).sum(), parameters)
    theirs = torch.autograd.grad((expected * projection).sum(), parameters)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dora_norm_keeps_its_digits_when_the_change_cancels_the_weight(dtype):
    generator = torch.Generator().manual_seed(0)
    down = torch.randn(4, 700, generator=generator)
    up = torch.randn(900, 4, generator=generator)
    weight = (up @ down).to(dtype)
    exact = (weight.double() - 0.999 * up.double() @ down.double()).norm(dim=1)
    actual = row_norms(weight, down, -0.999 * up)
    assert ((actual - exact).abs() / exact).max() < 1e-3


def test_dora_survives_a_change_that_cancels_a_row():
    _, adapter = on(layer([[30.0, 40], [1, 2]]), "dora", [[3.0, 4]], [[-10.0], [0]])
    effective = adapter.effective(adapter.site.weight())
    assert effective.tolist() == [[0, 0], [1, 2]]


def test_dora_survives_a_row_of_zeros():
    model = layer([[0.0, 0], [1, 2]])
    handle = graft(model, "dora", {"rank": 1}, sites="0", dtype=DOUBLE)
    x = torch.randn(3, 2, dtype=DOUBLE)
    output = model(x)
    torch.testing.assert_close(output, x @ torch.tensor([[0.0, 0], [1, 2]], dtype=DOUBLE).T)
    output.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in handle.parameters())


def test_sine_gradient_at_start():
    """O1.1: no change at B = 0, and dL/dB = (omega / g) (alpha / r) G A^T."""
    model = nn.Sequential(nn.Linear(320, 30, dtype=DOUBLE))
    handle = graft(model, "sine-lora", {"rank": 2, "alpha": 6.0}, sites="0", dtype=DOUBLE)
    adapter = handle.sites["0"]
    assert not change(adapter).any()
    projection = torch.randn(30, 320, dtype=DOUBLE)
    (gradient,) = torch.autograd.grad((change(adapter) * projection).sum(), adapter.up)
    assert 200 / math.sqrt(320) == pytest.approx(11.18, abs=0.01)
    expected = 200 / math.sqrt(320) * 3 * projection @ adapter.down.T
    torch.testing.assert_close(gradient, expected)


def test_sine_of_a_rank_one_product():
    """O1.2: sin(i j) / 2 for i, j = 1..4."""
    down, up = [[1.0, 2, 3, 4]], [[0.01], [0.02], [0.03], [0.04]]
    _, adapter = on(layer([[0.0] * 4] * 4), "sine-lora", down, up, omega=100.0)
    expected = [[math.sin(i * j) / 2 for j in range(1, 5)] for i in range(1, 5)]
    torch.testing.assert_close(change(adapter), torch.tensor(expected, dtype=DOUBLE))
    assert change(adapter)[0].tolist() == pytest.approx(
        [0.420735, 0.454649, 0.070560, -0.378401], abs=1e-6
    )
    singular = torch.linalg.svdvals(change(adapter)).tolist()
    assert singular == pytest.approx([1.014040, 0.696351, 0.496776, 0.074644], abs=1e-6)
    assert float(change(adapter).detach().norm()) == pytest.approx(1.3287356, abs=1e-6)
    (gradient,) = torch.autograd.grad(change(adapter).sum(), adapter.up)
    assert gradient.flatten().tolist() == pytest.approx(
        [-293.827167, 28.753832, 78.618656, -112.185987], abs=1e-5
    )


def effective_rank(omega, spread):
    model = nn.Sequential(nn.Linear(320, 320, dtype=DOUBLE))
    handle = graft(model, "sine-lora", {"rank": 2, "omega": omega}, sites="0", dtype=DOUBLE)
    adapter = handle.sites["0"]
    torch.manual_seed(0)
    adapter.up.data.normal_(std=spread)
    values = torch.linalg.svdvals(change(adapter))
    return int((values > 1e-3 * values[0]).sum())


def test_sine_raises_the_rank():
    """O1.3 and O1.4: with omega and B large enough, and only then."""
    ranks = [effective_rank(omega, 1.0) for omega in (1.0, 50.0, 200.0, 400.0)]
    assert ranks[0] == 2
    assert ranks == sorted(ranks)
    assert ranks[2] == pytest.approx(159, abs=25)
    assert ranks[3] == pytest.approx(286, abs=25)
    assert effective_rank(200.0, 0.02) < 10


def test_sine_becomes_lora_as_omega_vanishes():
    """O1.5: g / omega times the change tends to (alpha / r) B A."""
    down, up = [[1.0, -2, 3], [0.5, 1, -1]], [[1.0, 2], [-3, 1]]
    settings = {"alpha": 6.0}
    _, sine = on(layer([[0.0] * 3] * 2), "sine-lora", down, up, omega=1e-4, **settings)
    _, lora = on(layer([[0.0] * 3] * 2), "lora", down, up, **settings)
    torch.testing.assert_close(
        change(sine) * math.sqrt(3) / 1e-4, change(lora), rtol=1e-5, atol=1e-6
    )


def test_sine_merges_in_single_precision():
    """O1.6: the merged forward equals the adapted one to 1e-6."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 48))
    handle = graft(model, "sine-lora", {"rank": 4}, sites="0")
    handle.sites["0"].up.data.normal_(std=0.05)
    x = torch.randn(16, 64)
    adapted = model(x)
    handle.merge()
    torch.testing.assert_close(model(x), adapted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", ["lora", "dora", "sine-lora"])
def test_rank_above_the_site_is_refused_with_the_largest(method):
    model = nn.Sequential(nn.Linear(7, 5))
    with pytest.raises(GraftworkError, match=r"adapter\.rank: 6 .*'0' \(5 x 7\).* at most 5"):
        graft(model, method, {"rank": 6}, sites="*")


@pytest.mark.parametrize("kind", ["linear", "conv2d", "conv2d-grouped", "conv3d", "conv1d"])
def test_sine_keeps_no_matrix_of_the_weight_s_size(kind):
    from graftwork.testing.adapter.toys import TOYS

    toy = next(toy for toy in TOYS if toy.name == kind)
    model = toy.model()
    handle = graft(model, "sine-lora", {"rank": 1}, sites="*", dtype=DOUBLE)
    ours = {id(p) for p in model.parameters()}
    kept = []

    def note(tensor):
        if id(tensor) not in ours and not tensor._is_view():
            kept.append(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(toy.input())
    sizes = {tuple(a.site.weight().shape) for a in handle.sites.values()}
    sizes |= {tuple(a.site.frozen().shape) for a in handle.sites.values()}
    assert not sizes & {tuple(shape) for shape in kept}
