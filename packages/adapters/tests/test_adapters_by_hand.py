"""The hand-written gradients of LoRA, DoRA and Sine-LoRA, beside autograd's of the definition."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from graftwork.adapters.dropout import Mask
from graftwork.core import registry
from graftwork.nn import Graft, graft

TOKENS, COLS, ROWS = 5, 40, 48
MANY = 60  # so many that the hand-written products form the changed weight


def shaken(
    method: str, dtype: torch.dtype = torch.float64, bias: bool = True, **settings: Any
) -> tuple[nn.Linear, Graft, Any]:
    """A linear layer with an adapter that is away from its start."""
    torch.manual_seed(0)
    layer = nn.Linear(COLS, ROWS, bias=bias, dtype=dtype)
    handle = graft(nn.Sequential(layer), method, settings, sites="*", dtype=torch.float64)
    with torch.no_grad():
        for parameter in handle.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer, handle, handle.sites["0"]


def gradients(output: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    seed = torch.Generator().manual_seed(1)
    weights = torch.randn(output.shape, generator=seed, dtype=torch.float64)
    return list(torch.autograd.grad((output.double() * weights).sum(), wanted))


def tokens(dtype: torch.dtype = torch.float64, count: int = TOKENS) -> Tensor:
    torch.manual_seed(2)
    return torch.randn(2, count, COLS, dtype=dtype).requires_grad_()


def masked(mask: Mask, x: Tensor) -> Tensor:
    return mask.gain * mask.kept(x, x.dtype) * x


def test_a_mask_is_the_same_for_one_seed_and_keeps_the_mean() -> None:
    x = torch.ones(301, 333)
    once, again, other = (masked(Mask(seed, 0.1), x) for seed in (7, 7, 8))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert (once == 0).double().mean() == pytest.approx(0.1, abs=0.005)
    assert once.mean() == pytest.approx(1.0, abs=0.005)
    assert len(once.unique()) == 2


def test_over_many_masks_the_share_is_the_one_asked_for() -> None:
    seeds = torch.randint(2**63 - 1, (20_000,), generator=torch.Generator().manual_seed(3))
    masks = [Mask(seed, 0.1) for seed in seeds.tolist()]
    shares = [1 - 1 / mask.gain for mask in masks]
    assert set(shares) == {25 / 256, 26 / 256}
    assert sum(shares) / len(shares) == pytest.approx(0.1, abs=1e-4)
    assert Mask(2**20 - 1, 0.999).gain == 256  # something always stays


def test_masks_of_different_seeds_are_independent() -> None:
    kept = [masked(Mask(seed, 0.5), torch.ones(100_000)).bool() for seed in (1, 2)]
    both = (kept[0] & kept[1]).double().mean()
    assert both == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_dropout_is_that_of_the_equation(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, handle, adapter = shaken(method, rank=3, alpha=5.0, dropout=0.4)
    handle.train()
    monkeypatch.setattr("graftwork.adapters.low_rank.drawn", lambda dropout: Mask(11, dropout.p))
    x = tokens()
    few = x * masked(Mask(11, 0.4), torch.ones(2 * TOKENS, COLS, dtype=x.dtype)).view(x.shape)
    change = 5.0 / 3 * few @ adapter.down.T @ adapter.up.T
    weight = adapter.site.weight()
    expected = x @ weight.T + change
    if method == "dora":
        norm = (weight + 5.0 / 3 * adapter.up @ adapter.down).norm(dim=1).detach()
        expected = adapter.magnitude / norm * expected
    expected = expected + layer.bias
    actual = layer(x)
    torch.testing.assert_close(actual, expected)
    wanted = [x, *handle.parameters()]
    for ours, theirs in zip(gradients(actual, wanted), gradients(expected, wanted), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_dropout_under_checkpointing_draws_the_same_mask_twice() -> None:
    layer, handle, _ = shaken("lora", rank=3, dropout=0.4)
    handle.train()
    x = tokens()
    wanted = [x, *handle.parameters()]
    torch.manual_seed(5)
    plain = gradients(layer(x), wanted)
    torch.manual_seed(5)
    saved = gradients(checkpoint(layer, x, use_reentrant=False), wanted)
    for one, other in zip(plain, saved, strict=True):
        torch.testing.assert_close(one, other)


def test_dropout_differs_from_step_to_step_and_rests_outside_training() -> None:
    layer, handle, _ = shaken("lora", rank=3, dropout=0.4)
    x = tokens()
    handle.train()
    assert not torch.equal(layer(x), layer(x))
    handle.train(False)
    assert torch.equal(layer(x), layer(x))


@pytest.mark.parametrize("count", [TOKENS, MANY])
@pytest.mark.parametrize("needs_x", [True, False])
@pytest.mark.parametrize("method", ["lora", "dora", "sine-lora", "sine-dora"])
def test_few_and_many_tokens(method: str, needs_x: bool, count: int) -> None:
    layer, handle, adapter = shaken(method, rank=3, alpha=5.0)
    x = tokens(count=count).requires_grad_(needs_x)
    expected = torch.nn.functional.linear(x, adapter.effective(adapter.site.weight()), layer.bias)
    wanted = [*([x] if needs_x else []), *handle.parameters()]
    actual = layer(x)
    torch.testing.assert_close(actual, expected)
    for ours, theirs in zip(gradients(actual, wanted), gradients(expected, wanted), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_many_tokens_do_not_round_a_small_change_to_the_weights_digits() -> None:
    layer, _, adapter = shaken("lora", dtype=torch.bfloat16, rank=3)
    with torch.no_grad():
        adapter.up.mul_(1e-4)  # far below what bfloat16 resolves beside W
    adapter.site.frozen().data.fill_(1.0)
    x = tokens(torch.bfloat16, MANY)
    x.data[..., 1::2] = -x.data[..., ::2]  # W x is nothing, the change is all there is
    layer.bias.data.zero_()
    change = (adapter.up @ adapter.down @ x.double().flatten(0, 1).T).T
    assert (layer(x).double().flatten(0, 1) - change).norm() < 0.01 * change.norm()


@pytest.mark.parametrize("count", [TOKENS, MANY])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("small", [None, 0.0, 1e-6])
def test_dora_recovers_directions_or_keeps_them(
    bias: bool, small: float | None, count: int
) -> None:
    layer, handle, adapter = shaken("dora", bias=bias, rank=3)
    if small is not None:
        with torch.no_grad():
            adapter.magnitude[4] = small
    x = tokens(count=count)
    expected = torch.nn.functional.linear(x, adapter.effective(adapter.site.weight()), layer.bias)
    wanted = [x, *handle.parameters()]
    actual = layer(x)
    torch.testing.assert_close(actual, expected)
    for ours, theirs in zip(gradients(actual, wanted), gradients(expected, wanted), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("method", ["lora", "dora", "sine-lora"])
def test_half_precision_backbone(method: str) -> None:
    layer, handle, adapter = shaken(method, dtype=torch.bfloat16, rank=3)
    x = tokens(torch.bfloat16)
    weight = adapter.effective(adapter.site.weight().double())
    exact = torch.nn.functional.linear(x.double(), weight, layer.bias.double())
    wanted = list(handle.parameters())
    output = layer(x)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.double(), exact, rtol=0.02, atol=0.05)
    for ours, theirs in zip(gradients(output, wanted), gradients(exact, wanted), strict=True):
        assert (ours - theirs).norm() < 0.02 * theirs.norm()


def weight_methods() -> list[str]:
    found = registry.records("adapters")
    return [r.name for r in found if r.family == "weight" and "graftwork-adapters" in r.provider]


@pytest.mark.parametrize("method", weight_methods())
def test_nothing_of_the_weights_size_is_kept_for_backward(method: str) -> None:
    settings = {"rank": 2} if method not in ("oft", "full") else {}
    settings = {"block_size": 8} if method == "oft" else settings
    layer, _, adapter = shaken(method, **settings)
    if method == "full":
        pytest.skip("its parameter is of the weight's size")
    own = {layer._parameters["weight"].untyped_storage().data_ptr()}
    own |= {parameter.untyped_storage().data_ptr() for parameter in adapter.parameters()}
    kept: list[tuple[int, ...]] = []

    def note(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        layer(tokens())
    assert all(torch.Size(shape).numel() < ROWS * COLS for shape in kept), kept
