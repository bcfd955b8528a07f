"""OFT against its equation, PEFT's stored numbers in both senses, and LyCORIS's formula."""

import copy

import pytest
import torch
from torch import nn

from graftwork.adapters.rotation import rotations, skew, turn
from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft
from graftwork.nn.match import all_sites

DOUBLE = torch.float64


class Model(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)


def grafted(layer, **settings):
    model = Model(layer.double())
    handle = graft(model, "oft", settings, sites="layer", dtype=DOUBLE)
    adapter = handle.sites["layer"]
    torch.manual_seed(3)
    adapter.entries.data.normal_(std=0.3)
    return model, adapter


def test_the_two_transforms_turn_in_opposite_senses():
    """Methods file 4.5: for the same stored 0.5."""
    q = skew(torch.tensor([[0.5]], dtype=DOUBLE), 2)
    assert q.tolist() == [[[0, 0.5], [-0.5, 0]]]
    exact, series = rotations(q, "exact")[0], rotations(q, "neumann")[0]
    torch.testing.assert_close(exact, torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=DOUBLE))
    torch.testing.assert_close(
        series, torch.tensor([[0.5625, 0.75], [-0.75, 0.5625]], dtype=DOUBLE)
    )


def test_transforms_by_their_equations():
    torch.manual_seed(0)
    q = skew(0.1 * torch.randn(3, 10, dtype=DOUBLE), 5)
    eye = torch.eye(5, dtype=DOUBLE)
    torch.testing.assert_close(rotations(q, "exact"), (eye - q) @ torch.linalg.inv(eye + q))
    series = eye + 2 * q + 2 * q @ q + 2 * q @ q @ q + q @ q @ q @ q
    torch.testing.assert_close(rotations(q, "neumann"), series)


def test_only_the_exact_transform_is_orthogonal():
    torch.manual_seed(0)
    q = skew(torch.randn(4, 28, dtype=DOUBLE), 8)
    eye = torch.eye(8, dtype=DOUBLE).expand(4, 8, 8)
    exact, series = rotations(q, "exact"), rotations(0.3 * q, "neumann")
    torch.testing.assert_close(exact @ exact.mT, eye)
    torch.testing.assert_close(torch.linalg.det(exact), torch.ones(4, dtype=DOUBLE))
    assert (series @ series.mT - eye).abs().max() > 1e-3


@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_turn_is_the_block_diagonal_matrix(axis):
    torch.manual_seed(0)
    blocks = torch.randn(3, 2, 2, dtype=DOUBLE, requires_grad=True)
    shape = [4, 5, 7]
    shape[axis] = 6
    x = torch.randn(shape, dtype=DOUBLE, requires_grad=True)
    dense = torch.block_diag(*blocks)
    expected = (x.movedim(axis, -1) @ dense.T).movedim(-1, axis)
    actual = turn(x, blocks, axis)
    torch.testing.assert_close(actual, expected)
    noise = torch.randn_like(actual)
    ours = torch.autograd.grad(actual, [x, blocks], noise)
    theirs = torch.autograd.grad(expected, [x, blocks], noise)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("cayley", ["exact", "neumann"])
@pytest.mark.parametrize("tokens", [2, 40])
def test_peft_linear(cayley, tokens):
    peft = pytest.importorskip("peft", reason="compares with PEFT; pip install peft")
    layer = nn.Linear(12, 10)
    x = torch.randn(tokens, 12, dtype=DOUBLE, requires_grad=True)
    model, adapter = grafted(copy.deepcopy(layer), block_size=4, cayley=cayley)
    wrapped, theirs = peft_oft(peft, layer, adapter, cayley)
    expected, actual = wrapped(x), model(x)
    torch.testing.assert_close(actual, expected)
    noise = torch.randn_like(actual)
    one = torch.autograd.grad(actual, [adapter.entries, x], noise)
    other = torch.autograd.grad(expected, [theirs, x], noise)
    for ours, his in zip(one, other, strict=True):
        torch.testing.assert_close(ours, his)


@pytest.mark.parametrize("cayley", ["exact", "neumann"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_peft_conv2d_merged(cayley, kernel):
    """Merged, since PEFT's own conv forward rotates overlapping patches and sums them."""
    peft = pytest.importorskip("peft", reason="compares with PEFT; pip install peft")
    layer = nn.Conv2d(8, 10, kernel, padding=kernel // 2)
    x = torch.randn(2, 8, 6, 5, dtype=DOUBLE)
    model, adapter = grafted(copy.deepcopy(layer), block_size=4, cayley=cayley)
    wrapped, _ = peft_oft(peft, layer, adapter, cayley)
    if kernel == 1:
        torch.testing.assert_close(model(x), wrapped(x))
    merged = wrapped.merge_and_unload()
    torch.testing.assert_close(model(x), merged(x))


def peft_oft(peft, layer, adapter, cayley):
    """The layer under PEFT with our numbers, and PEFT's parameter."""
    config = peft.OFTConfig(
        r=0,
        oft_block_size=adapter.size,
        use_cayley_neumann=cayley == "neumann",
        target_modules=["layer"],
    )
    wrapped = peft.get_peft_model(Model(layer.double()), config).double()
    (theirs,) = [p for name, p in wrapped.named_parameters() if "oft_R" in name]
    with torch.no_grad():
        theirs.copy_(adapter.entries)
    return wrapped, theirs


@pytest.mark.parametrize("constraint", [None, 0.02])
@pytest.mark.parametrize("layer", [nn.Linear(7, 12), nn.Conv2d(3, 12, 3)])
def test_lycoris_diag_oft(layer, constraint):
    """W' = blockdiag(R)^T W, R = (I + Q) (I - Q)^-1, Q = B - B^T; the constraint on all of Q."""
    _, adapter = grafted(copy.deepcopy(layer), block_size=4, side="output", constraint=constraint)
    weight = adapter.site.weight()
    stored = torch.randn(3, 4, 4, dtype=DOUBLE)
    q = stored - stored.mT
    rows, cols = torch.triu_indices(4, 4, 1)
    adapter.entries.data.copy_(q[:, rows, cols])
    if constraint is not None:
        assert q.norm() > constraint * 12
        q = q * constraint * 12 / q.norm()
    eye = torch.eye(4, dtype=DOUBLE)
    rotation = torch.block_diag(*((eye + q) @ torch.linalg.inv(eye - q)))
    torch.testing.assert_close(adapter.effective(weight), rotation.T @ weight)


def test_constraint_leaves_small_rotations_alone():
    _, free = grafted(nn.Linear(12, 12), block_size=4)
    _, bound = grafted(nn.Linear(12, 12), block_size=4, constraint=10.0)
    torch.testing.assert_close(free.blocks(), bound.blocks(), rtol=0, atol=0)
    bound.entries.data.zero_()
    (gradient,) = torch.autograd.grad(bound.blocks().square().sum(), bound.entries)
    assert gradient.isfinite().all()


def test_output_side_keeps_the_angles_between_filters():
    """R W with orthogonal R leaves W^T W as it was; W R^T leaves W W^T."""
    for side in ("input", "output"):
        _, adapter = grafted(nn.Linear(12, 8), block_size=4, side=side)
        weight = adapter.site.weight()
        changed = adapter.effective(weight)
        assert not torch.allclose(changed, weight)
        pair = (weight, changed) if side == "input" else (weight.T, changed.T)
        torch.testing.assert_close(pair[1] @ pair[1].T, pair[0] @ pair[0].T)


@pytest.mark.parametrize(
    ("settings", "count"), [({"block_size": 32}, 1_541_568), ({"block_size": 8}, 348_096)]
)
def test_parameter_counts_on_sd15(settings, count):
    """Methods file 4.6: sum of (in / b) b (b - 1) / 2 with 99,456 inputs in all."""
    cls, config = registry.find("adapters", "oft").load(), registry.find("adapters", "oft")
    total = 0
    for cols, times in ((320, 30), (640, 30), (1280, 36), (768, 32)):
        with torch.device("meta"):
            site = all_sites(nn.Sequential(nn.Linear(cols, 320)))["0"]
            adapter = cls(site, parse(config.settings_class(), settings, ""))
        total += times * adapter.entries.numel()
    assert total == count


@pytest.mark.parametrize(
    ("length", "wanted", "size"),
    [(320, 32, 32), (36, 32, 36), (24, 32, 24), (5, 4, 5), (50, 8, 10)],
)
def test_blocks_of_a_size_that_divides(length, wanted, size):
    _, adapter = grafted(nn.Linear(length, 3), block_size=wanted)
    assert adapter.size == size


@pytest.mark.parametrize("length", [20, 36, 100, 320, 768])
def test_blocks_are_as_large_as_peft_s(length):
    layer = pytest.importorskip("peft.tuners.oft.layer", reason="compares with PEFT")
    theirs = layer.OFTLayer.adjust_oft_parameters
    for wanted in (4, 8, 32):
        _, adapter = grafted(nn.Linear(length, 3), block_size=wanted)
        expected = wanted if length % wanted == 0 else theirs(None, length, wanted)
        assert adapter.size == expected


@pytest.mark.parametrize(
    ("layer", "settings", "words"),
    [
        (nn.Linear(101, 4), {"block_size": 8}, r"adapter\.block_size: .* 101; use 101, or leave"),
        (nn.Linear(1, 4), {}, r"adapter\.block_size: .*'layer', 1; leave .*'!layer'"),
        (nn.Embedding(9, 4), {}, r"adapter\.side: .*vocabulary of 'layer'; use 'output'"),
    ],
)
def test_what_cannot_be_rotated_is_refused(layer, settings, words):
    with pytest.raises(GraftworkError, match=words):
        grafted(layer, **settings)


@pytest.mark.parametrize("tokens", [3, 60])
def test_input_side_keeps_the_input_and_no_weight(tokens):
    model, _ = grafted(nn.Linear(32, 16), block_size=4)
    x = torch.randn(tokens, 32, dtype=DOUBLE, requires_grad=True)
    allowed = {x.data_ptr(), model.layer._parameters["weight"].data_ptr()}
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        model(x)
    assert {t.data_ptr() for t in kept if t.numel() > 8 * 16} <= allowed  # R: 8 blocks of 4 x 4
