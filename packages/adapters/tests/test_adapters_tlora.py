"""TLoRA against a transcription of its equation, the published counts, and the symmetry finding."""

import copy
import math

import pytest
import torch
from torch import nn

from graftwork.adapters.tlora import TLoRA, TLoRAConfig
from graftwork.adapters.tlora_product import worthwhile
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft, grafts
from graftwork.nn.match import all_sites

DOUBLE = torch.float64


def transform(cores):
    """T by one einsum over three cores."""
    whole = torch.einsum("aiqr,bjrs,cksq->abcijk", *cores)
    return whole.reshape(math.prod(len(core) for core in cores), -1)


def residual(adapter):
    """Delta by the sums of the paper."""
    if adapter.residual is None:
        return 0.0
    if hasattr(adapter.residual, "down"):
        return adapter.residual.up @ adapter.residual.down
    outputs, inputs = adapter.residual.outputs, adapter.residual.inputs
    whole = torch.einsum("apq,bqr,crs,dst,etu,fup->abcdef", *outputs, *inputs)
    return whole.reshape(math.prod(len(core) for core in outputs), -1)


def grafted(layer, settings, *, shaken=True, dtype=DOUBLE):
    model = nn.Sequential(layer.to(dtype))
    handle = graft(model, "tlora", settings, sites="0", dtype=dtype)
    torch.manual_seed(1)
    if shaken:
        for parameter in handle.parameters():
            parameter.data.add_(0.2 * torch.randn_like(parameter))
    return model, handle.sites["0"]


@pytest.mark.parametrize("kind", ["lora", "tensor-ring", "none"])
@pytest.mark.parametrize("rank", [1, 3])
def test_equation(kind, rank):
    torch.manual_seed(0)
    settings = {"transform_rank": rank, "residual": kind, "rank": 2, "alpha": 3.0}
    _, adapter = grafted(nn.Linear(24, 12), settings)
    weight = adapter.site.weight()
    expected = weight @ transform(adapter.cores) + 3 / math.sqrt(2) * residual(adapter)
    torch.testing.assert_close(adapter.effective(weight), expected)


def test_no_transform_is_stabilised_lora():
    """W + (alpha / sqrt(r)) B A."""
    settings = {"transform_rank": 0, "rank": 4, "alpha": 6.0}
    _, adapter = grafted(nn.Linear(10, 8), settings)
    weight = adapter.site.weight()
    expected = weight + 3 * adapter.residual.up @ adapter.residual.down
    torch.testing.assert_close(adapter.effective(weight), expected)


@pytest.mark.parametrize("init", ["broken-symmetry", "paper"])
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_start_is_the_identity(init, rank):
    """O3.1: the weight up to the rounding of one sum, and the output with it."""
    settings = {"transform_rank": rank, "init": init, "residual": "tensor-ring"}
    layer = nn.Linear(320, 64)
    plain = copy.deepcopy(layer)
    model, adapter = grafted(layer, settings, shaken=False, dtype=torch.float32)
    gap = (adapter.effective(layer.weight) - layer.weight).abs() / layer.weight.abs()
    assert gap.max() < 1e-6
    x = torch.randn(5, 320)
    torch.testing.assert_close(model(x), plain(x), rtol=1e-5, atol=1e-6)


def input_path(adapter, tokens):
    return worthwhile(tokens, adapter.site.rows, list(adapter.cores))


@pytest.mark.parametrize("kind", ["lora", "tensor-ring", "none"])
def test_input_path_equals_the_definition(kind):
    """T x core by core, wide enough that no T is formed, several blocks long."""
    torch.manual_seed(0)
    settings = {"transform_rank": 2, "residual": kind, "rank": 3, "alpha": 2.0}
    model, adapter = grafted(nn.Linear(1280, 40), settings)
    x = 0.1 * torch.randn(3, 37, 1280, dtype=DOUBLE)
    x.requires_grad_()
    layer = adapter.site.layer
    assert not input_path(adapter, 111)
    outputs = []
    for tokens in (10**9, 1):  # by the weight, and by the input
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("graftwork.adapters.ring_chain._BLOCK", 2**18)
            patch.setattr("graftwork.adapters.tlora.worthwhile", lambda n, *_, t=tokens: n >= t)
            outputs.append(model(x))
    expected = x @ adapter.effective(layer._parameters["weight"]).T + layer.bias
    weights = torch.randn_like(expected)
    wanted = [x, *adapter.parameters()]
    reference = torch.autograd.grad((expected * weights).sum(), wanted)
    for output in outputs:
        torch.testing.assert_close(output, expected)
        found = torch.autograd.grad((output * weights).sum(), wanted)
        for one, other in zip(found, reference, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_the_path_follows_from_the_sizes():
    """Few tokens in a wide layer go by the input, many tokens in a narrow one by the weight."""
    _, wide = grafted(nn.Linear(1280, 1280), {}, dtype=torch.float32)
    _, narrow = grafted(nn.Linear(320, 320), {}, dtype=torch.float32)
    assert input_path(wide, 256)
    assert not input_path(narrow, 4096)


@pytest.mark.parametrize("tokens", [8, 4096])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_of_the_weight_s_size_is_kept(tokens, dtype):
    """Neither T nor W T, whichever path is taken; and x only once, in its own dtype."""
    settings = {"residual": "tensor-ring", "rank": 2}
    model, adapter = grafted(nn.Linear(320, 320, dtype=dtype), settings, dtype=dtype)
    adapter.float()
    x = torch.randn(tokens, 320, dtype=dtype, requires_grad=True)
    assert input_path(adapter, tokens) == (tokens == 8)
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
    assert sum(kept.values()) < 320 * 320 * x.element_size() / 2


def sd15_projections():
    """(rows, cols) of to_q, to_k, to_v and to_out in the attention of SD1.5's UNet."""
    blocks = {320: 5, 640: 5, 1280: 6}
    for width, count in blocks.items():
        yield from [(width, width)] * (6 * count) + [(width, 768)] * (2 * count)


def count(settings):
    """Parameters of one adapter on every projection of SD1.5."""
    total, known = 0, {}
    for rows, cols in sd15_projections():
        if (rows, cols) not in known:
            with torch.device("meta"):
                site = all_sites(nn.Sequential(nn.Linear(cols, rows)))["0"]
                adapter = TLoRA(site, TLoRAConfig(**settings))
            known[rows, cols] = sum(p.numel() for p in adapter.parameters())
        total += known[rows, cols]
    return total


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"transform_rank": 2, "residual": "lora", "rank": 4}, 941_440),
        ({"transform_rank": 2, "residual": "tensor-ring", "rank": 6}, 400_288),
        ({"transform_rank": 1, "residual": "none"}, 36_064),
        ({"transform_rank": 0, "residual": "tensor-ring", "rank": 1}, 7_112),
        ({"transform_rank": 0, "residual": "lora", "rank": 4}, 797_184),
    ],
)
def test_published_counts_on_sd15(settings, expected):
    """O3.5: TLoRA*(2,4) has 0.94 M and TLoRA(2,6) 0.40 M in the paper."""
    assert count(settings) == expected


def trained(init, steps=100):
    """A transform of rank 2 after some training towards a random full-rank transform."""
    torch.manual_seed(0)
    target = torch.randn(30, 30, dtype=DOUBLE)
    settings = {"transform_rank": 2, "residual": "none", "init": init}
    _, adapter = grafted(nn.Linear(30, 30), settings, shaken=False)
    start = [core.detach().clone() for core in adapter.cores]
    weight = adapter.site.weight()
    optimizer = torch.optim.Adam(adapter.parameters(), lr=0.02)
    for _ in range(steps):
        loss = (adapter.effective(weight) - weight @ target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    moves = [(core - old).detach() for core, old in zip(adapter.cores, start, strict=True)]
    return moves, float(loss.detach())


def spread(moves):
    """How far the slices of a core moved apart, over how far they moved."""
    apart = max(float((move - move.mean((2, 3), keepdim=True)).abs().max()) for move in moves)
    return apart / max(float(move.abs().max()) for move in moves)


def test_the_papers_start_never_separates_its_slices():
    """O3.6: its R^2 slices move as one, so that rank 2 fits no better than rank 1 would; a start
    with unequal slices uses them."""
    paper, ours = trained("paper"), trained("broken-symmetry")
    assert spread(paper[0]) < 1e-7
    assert spread(ours[0]) > 0.1
    assert ours[1] < 0.99 * paper[1]


def test_merge_is_exact_and_detach_restores():
    """O3.7."""
    model, adapter = grafted(nn.Linear(24, 12), {})
    x = torch.randn(5, 24, dtype=DOUBLE)
    frozen = adapter.site.frozen().clone()
    expected = model(x)
    twin = copy.deepcopy(model)
    grafts(twin)["default"].merge()
    torch.testing.assert_close(twin(x), expected, rtol=1e-12, atol=1e-12)
    grafts(model)["default"].detach()
    assert torch.equal(model[0].weight, frozen)


def test_embedding_takes_a_residual_alone():
    model = nn.Sequential(nn.Embedding(20, 8))
    with pytest.raises(GraftworkError, match=r"'0' is an embedding.*transform_rank = 0.*'!0'"):
        graft(model, "tlora", {}, sites="*")
    handle = graft(model, "tlora", {"transform_rank": 0, "residual": "tensor-ring"}, sites="*")
    ids = torch.tensor([[1, 5, 1]])
    before = model(ids).detach()
    handle.sites["0"].residual.outputs[0].data.normal_()
    assert not torch.allclose(model(ids), before)
    change = (model(ids) - before)[0]
    expected = handle.sites["0"].scale * residual(handle.sites["0"])
    torch.testing.assert_close(change, expected.T[[1, 5, 1]])


def test_given_factorisations():
    model = nn.Sequential(nn.Linear(320, 32))
    settings = {"factors": [[5, 8, 8], [4, 8]], "residual": "tensor-ring"}
    adapter = graft(model, "tlora", settings, sites="*").sites["0"]
    assert [len(core) for core in adapter.cores] == [5, 8, 8]
    assert [len(core) for core in adapter.residual.outputs] == [4, 8]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factors": [[5, 8, 9]]}, r"adapter\.factors: \[5, 8, 9\] makes 360, .*sizes here: 320"),
        ({"factors": [[320]]}, r"factors: \[320\] is no product; give two or more"),
        ({"factors": [[5, 64], [4, 80]]}, r"factors: 320 is factorised twice; keep one"),
        ({"transform_rank": 0, "residual": "none"}, r"nothing would train; set transform_rank"),
        ({"rank": 40}, r"adapter\.rank: 40 .* at most 32"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(GraftworkError, match=message):
        graft(nn.Sequential(nn.Linear(320, 32)), "tlora", settings, sites="*")
