"""Each temporal module against its equation, written out in float64; and what follows from it."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from graftwork.backbones.videollm.valley.temporal import (
    DeltaTransformer,
    ImportancePooling,
    MaxPooling,
    MeanPooling,
    sinusoid,
    temporal_module,
)
from graftwork.core.errors import GraftworkError

BATCH, TIME, PATCHES, WIDTH, HEADS = 2, 5, 3, 8, 2


@pytest.fixture
def frames():
    torch.manual_seed(1)
    return torch.randn(BATCH, TIME, PATCHES, WIDTH, dtype=torch.float64)


def importance():
    torch.manual_seed(0)
    return ImportancePooling(PATCHES, WIDTH).double()


def delta(dropout=0.0, width=WIDTH, heads=HEADS):
    torch.manual_seed(0)
    made = DeltaTransformer(
        width, heads=heads, intermediate_size=12, dropout=dropout, norm_eps=1e-5
    )
    with torch.no_grad():
        for parameter in made.parameters():  # norms and biases that tell
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made.double().eval()


MODULES = {
    "mean": MeanPooling,
    "max": MaxPooling,
    "importance": importance,
    "delta": delta,
}


def mean_by_hand(_, x):
    return sum(x[:, t] for t in range(x.shape[1])) / x.shape[1]


def max_by_hand(_, x):
    y = x[:, 0]
    for t in range(1, x.shape[1]):
        y = torch.where(x[:, t] > y, x[:, t], y)
    return y


def importance_by_hand(module, x):
    w, b = module.score.weight[0], module.score.bias[0]
    ys = []
    for clip in x:
        s = torch.stack([w @ frame.reshape(-1) + b for frame in clip])
        a = s.exp() / s.exp().sum()
        ys.append(sum(a[t] * clip[t] for t in range(len(clip))))
    return torch.stack(ys)


def norm(x, layer):
    centred = x - x.mean()
    return centred / (centred.square().mean() + layer.eps).sqrt() * layer.weight + layer.bias


def encode_by_hand(m, h):
    """All rows of one post-norm encoder layer on one sequence (time, width)."""
    width, size = h.shape[1], h.shape[1] // m.heads
    q = h @ m.query.weight.T + m.query.bias
    k, v = (h @ m.key_value.weight.T + m.key_value.bias).split(width, dim=1)
    mixed = torch.zeros_like(h)
    for head in range(m.heads):
        own = slice(head * size, (head + 1) * size)
        for t in range(len(h)):
            scores = torch.stack([q[t, own] @ k[u, own] for u in range(len(h))]) / math.sqrt(size)
            weights = scores.exp() / scores.exp().sum()
            mixed[t, own] = sum(weights[u] * v[u, own] for u in range(len(h)))
    rows = []
    for t in range(len(h)):
        a = norm(h[t] + m.output.weight @ mixed[t] + m.output.bias, m.norm1)
        hidden = (m.linear1.weight @ a + m.linear1.bias).clamp(min=0)
        rows.append(norm(a + m.linear2.weight @ hidden + m.linear2.bias, m.norm2))
    return torch.stack(rows)


def table_by_hand(time, width):
    p = torch.zeros(time, width, dtype=torch.float64)
    for k in range(time):
        for i in range(width // 2):
            p[k, 2 * i] = math.sin(k / 10000 ** (2 * i / width))
            p[k, 2 * i + 1] = math.cos(k / 10000 ** (2 * i / width))
    return p


def delta_by_hand(m, x):
    p = table_by_hand(x.shape[1], x.shape[3])
    ys = [
        torch.stack(
            [
                encode_by_hand(m, clip[:, i] + p)[-1] + clip[:, i].mean(0)
                for i in range(clip.shape[1])
            ]
        )
        for clip in x
    ]
    return torch.stack(ys)


BY_HAND = {
    "mean": mean_by_hand,
    "max": max_by_hand,
    "importance": importance_by_hand,
    "delta": delta_by_hand,
}


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("time", [1, 2, TIME])
def test_is_its_equation(name, time, frames):
    module, x = MODULES[name](), frames[:, :time]
    torch.testing.assert_close(module(x), BY_HAND[name](module, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["importance", "delta"])
def test_its_gradients_are_those_of_its_equation(name, frames):
    module = MODULES[name]()
    inputs = [frames.requires_grad_(), *module.parameters()]
    weight = torch.randn(BATCH, PATCHES, WIDTH, dtype=torch.float64)
    ours = torch.autograd.grad((module(frames) * weight).sum(), inputs)
    theirs = torch.autograd.grad((BY_HAND[name](module, frames) * weight).sum(), inputs)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-10, atol=1e-11)


def test_delta_reads_the_last_row_of_torchs_own_layer(frames):
    module = delta()
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 12, dropout=0.0, batch_first=True).double()
    packed = {
        f"self_attn.in_proj_{kind}": torch.cat(
            [getattr(module.query, kind), getattr(module.key_value, kind)]
        )
        for kind in ("weight", "bias")
    }
    rest = {
        name.replace("output.", "self_attn.out_proj."): tensor
        for name, tensor in module.state_dict().items()
        if not name.startswith(("query", "key_value"))
    }
    layer.load_state_dict(packed | rest)
    placed = frames + table_by_hand(TIME, WIDTH)[:, None]
    read = layer(placed.transpose(1, 2).flatten(0, 1))[:, -1].view(BATCH, PATCHES, WIDTH)
    torch.testing.assert_close(module(frames), read + frames.mean(1), rtol=1e-12, atol=1e-12)


def test_the_table_of_positions(frames):
    own = sinusoid(2048, 6, dtype=torch.float32, device=frames.device)
    # float32 angles up to 2047: a rounding of 1.2e-4 radians
    torch.testing.assert_close(own.double(), table_by_hand(2048, 6), rtol=0, atol=2e-4)
    exact = sinusoid(64, 6, dtype=torch.float64, device=frames.device)
    torch.testing.assert_close(exact, table_by_hand(64, 6), rtol=0, atol=1e-13)
    assert not any("position" in name for name in delta().state_dict())
    assert not list(delta().buffers())


@pytest.mark.parametrize("name", ["mean", "max", "importance"])
def test_order_blind_modules_do_not_see_the_order(name, frames):
    module = MODULES[name]()
    assert module.order_blind
    still = module(frames)
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        torch.testing.assert_close(module(frames[:, order]), still, rtol=0, atol=1e-14)


def test_delta_sees_the_order():
    module = delta(width=64, heads=4)
    assert not module.order_blind
    frames = torch.randn(1, 8, 4, 64, dtype=torch.float64)
    assert (module(frames) - module(frames.flip(1))).abs().max() > 1


@pytest.mark.parametrize(("name", "same"), [(n, n != "delta") for n in MODULES])
def test_an_image_stays_itself_save_for_the_delta(name, same, frames):
    image = frames[:, :1]
    apart = (MODULES[name]()(image) - image[:, 0]).abs().max()
    assert (apart == 0) if same else (apart > 0.1)


@pytest.mark.parametrize("patches", [1, 7, 256])
def test_delta_attends_once_for_all_patches(patches, monkeypatch):
    calls = []
    attend = F.scaled_dot_product_attention
    monkeypatch.setattr(
        F, "scaled_dot_product_attention", lambda *a, **k: calls.append(1) or attend(*a, **k)
    )
    delta()(torch.randn(2, 3, patches, WIDTH, dtype=torch.float64))
    assert calls == [1]


def test_delta_drops_in_training_alone(frames):
    module = delta(dropout=0.5)
    torch.testing.assert_close(module(frames), delta()(frames))
    module.train()
    assert not torch.equal(module(frames), module(frames))


def test_importance_keeps_to_its_number_of_patches(frames):
    with pytest.raises(GraftworkError, match="frames of 2 patches where its weights are for 3"):
        importance()(frames[:, :, :2])


# Parameter counts of the specification of the method (released shape, 7B and 13B decoders).
@pytest.mark.parametrize(
    ("temporal", "width", "count"),
    [
        ("mean", 4096, 0),
        ("max", 4096, 0),
        ("importance", 4096, 1_048_577),
        ("importance", 5120, 1_310_721),
        ("delta", 4096, 83_924_992),
        ("delta", 5120, 125_877_248),
    ],
)
def test_released_sizes(temporal, width, count, make_config):
    released = {"delta_heads": 8, "delta_intermediate_size": 2048, "patches_per_frame": 256}
    config = make_config(text={"hidden_size": width}, temporal=temporal, **released)
    with torch.device("meta"):
        module = temporal_module(config)
    assert sum(parameter.numel() for parameter in module.parameters()) == count
