"""StyleInject against a transcription of its equation, LoRA in its limits, and worked numbers."""

import math

import pytest
import torch
from torch import nn

from graftwork.adapters.fixed_style import fixed_style, fixed_style_error, mean_styles
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft

DOUBLE = torch.float64
LAYERS = {
    "linear": (lambda: nn.Linear(6, 5), (3, 7, 6)),
    "few-tokens": (lambda: nn.Linear(6, 5), (3, 2, 6)),
    "grid": (lambda: nn.Linear(6, 5), (2, 3, 4, 6)),
    "conv1d": (lambda: nn.Conv1d(4, 5, 3), (2, 4, 9)),
    "conv2d": (lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2), (3, 4, 5, 6)),
}


def grafted(layer, *, shaken=True, **settings):
    torch.manual_seed(0)
    model = nn.Sequential(layer.double())
    handle = graft(model, "style-inject", settings, sites="0", dtype=DOUBLE)
    adapter = handle.sites["0"]
    if shaken:
        for parameter in adapter.parameters():
            parameter.data.add_(torch.randn_like(parameter))
    return model, handle, adapter


def expected_change(adapter, x):
    """dh, one instance and one branch after the other."""
    site, rows = adapter.site, []
    for instance in x:
        linear = site.kind == "linear"
        features = instance.flatten(0, -2).mean(0) if linear else instance.flatten(1).mean(1)
        weights = (adapter.router @ features + adapter.bias).softmax(0)
        change = 0.0
        for weight, down in zip(weights, adapter.down, strict=True):
            change = change + weight * site.apply(instance[None], adapter.up @ down)
        rows.append(adapter.scale * change)
    return torch.cat(rows)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("variant", ["plain", "variance"])
def test_equation_and_gradients(kind, variant):
    make, shape = LAYERS[kind]
    settings = {"rank": 2, "branches": 3, "alpha": 3.0, "variant": variant}
    model, _, adapter = grafted(make(), **settings)
    layer, linear = adapter.site.layer, adapter.site.kind == "linear"
    x = torch.randn(shape, dtype=DOUBLE, requires_grad=True)
    h = adapter.site.apply(x, layer._parameters["weight"].flatten(1), layer.bias)
    change = expected_change(adapter, x)
    if variant == "variance":
        dims = tuple(range(1, x.dim() - 1)) if linear else tuple(range(2, x.dim()))
        deviation = (h.var(dims, correction=0, keepdim=True) + 1e-5).sqrt()
        mean = h.mean(dims, keepdim=True)
        expected = mean + (deviation + change) * (h - mean) / deviation
    else:
        expected = h + change
    actual = model(x)
    torch.testing.assert_close(actual, expected)
    projection = torch.randn_like(expected)
    wanted = [x, *adapter.parameters()]
    ours = torch.autograd.grad((actual * projection).sum(), wanted)
    theirs = torch.autograd.grad((expected * projection).sum(), wanted)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_one_branch_is_lora():
    """O2.1: the softmax of one logit is 1."""
    model, _, adapter = grafted(nn.Linear(6, 5), rank=2, branches=1, alpha=6.0, variant="plain")
    x = torch.randn(3, 7, 6, dtype=DOUBLE)
    actual = model(x)
    weight = adapter.site.weight() + 3 * adapter.up @ adapter.down[0]
    torch.testing.assert_close(actual, nn.functional.linear(x, weight, model[0].bias))


def test_zero_router_is_lora_with_the_mean_branch():
    """O2.2."""
    model, _, adapter = grafted(nn.Linear(6, 5), rank=2, branches=4, variant="plain")
    adapter.router.data.zero_()
    adapter.bias.data.zero_()
    x = torch.randn(3, 7, 6, dtype=DOUBLE)
    weight = adapter.site.weight() + adapter.up @ adapter.down.mean(0)
    torch.testing.assert_close(model(x), nn.functional.linear(x, weight, model[0].bias))


@pytest.mark.parametrize("variant", ["plain", "variance"])
@pytest.mark.parametrize("kind", LAYERS)
def test_zero_up_is_the_backbone_bit_for_bit(kind, variant):
    """O2.3, and B is zero at the start while no two A_i are equal.

    Without the layer's bias, which is added after the change and so rounds on its own.
    """
    make, shape = LAYERS[kind]
    layer = make()
    layer.bias = None
    model, handle, adapter = grafted(layer, shaken=False, rank=2, variant=variant)
    adapter.router.data.normal_()
    x = torch.randn(shape, dtype=DOUBLE)
    actual = model(x)
    with handle.disabled():
        assert torch.equal(actual, model(x))
    assert len({tuple(down.flatten().tolist()) for down in adapter.down}) == 4


def test_worked_example():
    """O2.4."""
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data.zero_()
    model, _, adapter = grafted(layer, shaken=False, rank=1, branches=2, variant="plain")
    adapter.down.data.copy_(torch.tensor([[[1.0, 0]], [[0, 1]]]))
    adapter.up.data.copy_(torch.tensor([[2.0], [0]]))
    adapter.router.data.copy_(torch.tensor([[2 * math.log(3), 0], [0, 0]]))
    x = torch.eye(2, dtype=DOUBLE)[None]
    assert adapter.styles(x).tolist() == [pytest.approx([0.75, 0.25])]
    torch.testing.assert_close(model(x)[0], torch.tensor([[1.5, 0], [0.5, 0]], dtype=DOUBLE))


@pytest.mark.parametrize("variant", ["plain", "variance"])
def test_branches_have_no_order_and_instances_are_alone(variant):
    """O2.5."""
    model, _, adapter = grafted(nn.Linear(6, 5), rank=2, branches=3, variant=variant)
    x = torch.randn(3, 7, 6, dtype=DOUBLE)
    before = model(x)
    torch.testing.assert_close(model(x[1:2]), before[1:2])
    order = [2, 0, 1]
    for parameter in (adapter.down, adapter.router, adapter.bias):
        parameter.data.copy_(parameter.data[order])
    torch.testing.assert_close(model(x), before)


def test_a_single_token_has_no_deviation():
    """With one token the variant is `plain`, whatever the batch."""
    outputs = []
    x = torch.randn(3, 1, 6, dtype=DOUBLE)
    for variant in ("plain", "variance"):
        torch.manual_seed(0)
        model, _, _ = grafted(nn.Linear(6, 5), rank=2, variant=variant)
        outputs += [model(x), model(x[:, 0])[:, None]]
    for output in outputs[1:]:
        torch.testing.assert_close(output, outputs[0])


@pytest.mark.parametrize(
    ("branches", "rank", "expected"),
    [(2, 2, 796_672), (3, 4, 1_891_584), (4, 4, 2_388_992), (8, 4, 4_378_624)],
)
def test_parameter_counts_on_sd15(branches, rank, expected):
    """n r in + r out + n in + n over the projections of SD1.5's attention, from the graft."""
    blocks, total = {320: 5, 640: 5, 1280: 6}, 0
    settings = {"branches": branches, "rank": rank}
    for width, count in blocks.items():
        for cols, times in ((width, 6 * count), (768, 2 * count)):
            handle = graft(
                nn.Sequential(nn.Linear(cols, width)), "style-inject", settings, sites="*"
            )
            total += times * handle.num_parameters()
    assert total == expected


@pytest.mark.parametrize("variant", ["plain", "variance"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_kept(variant, dtype):
    """x once and in its own dtype, no copy of it for each branch; with `variance` the frozen
    output too, and no other map of that size."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 48, dtype=dtype))
    graft(model, "style-inject", {"variant": variant}, sites="*")
    x = torch.randn(2, 1000, 64, dtype=dtype, requires_grad=True)
    ours = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in ours:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(x)
    assert kept.pop(x.untyped_storage().data_ptr()) == x.nbytes
    frozen = 2 * 1000 * 48 * x.element_size()
    small = 2 * 1000 * 4 * 4 + 3 * 4 * 64 * 4 * 4  # the hidden features, and mixed A
    assert sum(kept.values()) <= small + (frozen if variant == "variance" else 0)


def test_it_cannot_be_merged():
    _, handle, _ = grafted(nn.Linear(6, 5), rank=2)
    with pytest.raises(GraftworkError, match="style-inject cannot be merged: its change depends"):
        handle.merge()


def test_refusals():
    with pytest.raises(GraftworkError, match=r"'0' is an embedding.*'!0'"):
        graft(nn.Sequential(nn.Embedding(9, 4)), "style-inject", {}, sites="*")
    attention = nn.MultiheadAttention(8, 2)
    with pytest.raises(GraftworkError, match="does not show its input"):
        graft(nn.Sequential(attention), "style-inject", {}, sites="0.*q*")


def sharp(router=4.0):
    """A model whose instances have clearly different styles, and inputs for it."""
    model, handle, adapter = grafted(nn.Linear(6, 5), rank=2, branches=3, variant="plain")
    adapter.router.data.normal_().mul_(router)
    x = torch.randn(40, 1, 6, dtype=DOUBLE) + 0.1 * torch.randn(40, 5, 6, dtype=DOUBLE)
    return model, handle, adapter, x


def test_mean_styles():
    model, handle, adapter, x = sharp()
    found = mean_styles(handle, lambda: [model(part) for part in x.split(7)])
    torch.testing.assert_close(found["0"], adapter.styles(x).mean(0))
    assert not adapter._forward_pre_hooks


def test_fixed_style_is_the_lora_of_the_mean_and_its_error_is_measured():
    model, handle, adapter, x = sharp()
    handle.weight = 0.5
    styles = mean_styles(handle, lambda: model(x))
    with handle.disabled():
        frozen = model(x)
    own = (model(x) - frozen).detach()
    error = fixed_style_error(handle, styles, lambda: model(x))
    lora = fixed_style(handle, styles)
    assert (lora.method, lora.name, lora.weight) == ("lora", "default", 0.5)
    down = torch.einsum("n,nrc->rc", styles["0"], adapter.down)
    torch.testing.assert_close(lora.sites["0"].down, down)
    fixed = (model(x) - frozen).detach()
    assert 0.1 < error < 1
    assert error == pytest.approx(float((fixed - own).norm() / own.norm()))


def test_fixed_style_is_exact_where_all_have_one_style():
    model, handle, _, x = sharp(router=0.0)
    expected = model(x)
    assert fixed_style_error(handle, mean_styles(handle, lambda: model(x)), lambda: model(x)) < 1e-6
    lora = fixed_style(handle)  # the router's bias is then the whole style
    torch.testing.assert_close(model(x), expected)
    assert lora.settings.alpha == 2.0


def test_fixed_style_refusals():
    model, handle, _, _ = sharp()
    with pytest.raises(GraftworkError, match="'0' was not run"):
        mean_styles(handle, lambda: None)
    with pytest.raises(GraftworkError, match="styles: '0' has none"):
        fixed_style(handle, {})
    handle.detach()
    lora = graft(model, "lora", {"rank": 2}, sites="0")
    with pytest.raises(GraftworkError, match="lora has no styles to fix"):
        fixed_style(lora)
    _, handle, _ = grafted(nn.Linear(6, 5), rank=2)
    with pytest.raises(GraftworkError, match=r"variant 'variance' .* variant = 'plain'"):
        fixed_style(handle)
