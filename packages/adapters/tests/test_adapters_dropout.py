"""Dropout of LoHa, LoKr, OFT and Sine-DoRA beside autograd of the same mask, written densely."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from graftwork.adapters.dropout import drawn_units
from graftwork.nn import Graft, graft

DOUBLE = torch.float64
SHARE = 0.4
ROWS, COLS = 12, 8


def linear() -> tuple[nn.Module, Tensor]:
    return nn.Linear(COLS, ROWS), torch.randn(3, 5, COLS, dtype=DOUBLE)


def pointwise() -> tuple[nn.Module, Tensor]:
    return nn.Conv2d(COLS, ROWS, 1), torch.randn(3, COLS, 2, 3, dtype=DOUBLE)


def kernel() -> tuple[nn.Module, Tensor]:
    return nn.Conv2d(2, ROWS, 2), torch.randn(3, 2, 4, 3, dtype=DOUBLE)


ROW_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "loha": ("loha", {"rank": 2, "alpha": 3.0}),
    "lokr": ("lokr", {"rank": 1, "alpha": 3.0}),
    "lokr, both": ("lokr", {"rank": 1, "factor": 4, "decompose_both": True}),
}
OFT_CASES: dict[str, dict[str, Any]] = {
    "input": {"block_size": 2},
    "output": {"block_size": 3, "side": "output"},
    "series": {"block_size": 2, "cayley": "neumann"},
    "constrained": {"block_size": 2, "constraint": 0.01},
}
LAYERS = {"linear": linear, "pointwise": pointwise, "kernel": kernel}


def shaken(layer: nn.Module, method: str, settings: Any) -> tuple[nn.Module, Graft, Any]:
    torch.manual_seed(0)
    layer = layer.double()
    model = nn.Sequential(layer)
    handle = graft(model, method, {**settings, "dropout": SHARE}, sites="*", dtype=DOUBLE)
    with torch.no_grad():
        for parameter in handle.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer, handle, handle.sites["0"]


def same(output: Tensor, expected: Tensor, wanted: list[Tensor]) -> None:
    """Value and gradients."""
    torch.testing.assert_close(output, expected)
    noise = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    pairs = zip(
        torch.autograd.grad(output, wanted, noise),
        torch.autograd.grad(expected, wanted, noise),
        strict=True,
    )
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize(("method", "settings"), ROW_CASES.values(), ids=ROW_CASES)
def test_rows_of_the_change_are_dropped(make: Any, method: str, settings: Any) -> None:
    """W + diag(k) (W' - W), k being 0 and 1: PEFT's `rank_dropout`."""
    layer, x = make()
    x.requires_grad_()
    layer, handle, adapter = shaken(layer, method, settings)
    handle.train()
    torch.manual_seed(9)
    output = layer(x)
    torch.manual_seed(9)
    kept = drawn_units(adapter.dropout, ROWS, torch.device("cpu"))
    assert kept is not None
    assert 0 < int(kept.sum()) < ROWS
    weight = adapter.site.weight()
    changed = weight + torch.diag(kept.double()) @ (adapter.effective(weight) - weight)
    expected = adapter.site.apply(x, changed, layer.bias)
    same(output, expected, [x, *handle.parameters()])


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("settings", OFT_CASES.values(), ids=OFT_CASES)
def test_blocks_of_the_rotation_are_dropped(make: Any, settings: Any) -> None:
    """Blocks of R are the identity: PEFT's `module_dropout`."""
    layer, x = make()
    x.requires_grad_()
    layer, handle, adapter = shaken(layer, "oft", settings)
    handle.train()
    torch.manual_seed(4)
    output = layer(x)
    torch.manual_seed(4)
    kept = drawn_units(adapter.dropout, len(adapter.entries), torch.device("cpu"))
    assert kept is not None
    assert 0 < int(kept.sum()) < len(kept)
    eye = torch.eye(adapter.size, dtype=DOUBLE)
    blocks = [
        block if keep else eye for block, keep in zip(adapter.blocks(), kept.tolist(), strict=True)
    ]
    rotation, weight = torch.block_diag(*blocks), adapter.site.weight()
    changed = weight @ rotation.T if adapter.side == "input" else rotation @ weight
    expected = adapter.site.apply(x, changed, layer.bias)
    same(output, expected, [x, *handle.parameters()])


@pytest.mark.parametrize("make", [linear, kernel])
def test_sine_dora_drops_from_the_input_of_the_change(make: Any) -> None:
    """(m / n) (W x + S mask(x)) + b with S = gain sin(omega B A)."""
    layer, x = make()
    x.requires_grad_()
    layer, handle, adapter = shaken(layer, "sine-dora", {"rank": 2, "omega": 3.0})
    handle.train()
    torch.manual_seed(4)
    output = layer(x)
    torch.manual_seed(4)
    masked = nn.functional.dropout(x, SHARE)
    site, weight = adapter.site, adapter.site.weight()
    change = adapter.gain * torch.sin(3.0 * adapter.up @ adapter.down)
    ratio = adapter.magnitude / (weight + change).detach().norm(dim=1)
    direction = site.apply(x, weight) + site.apply(masked, change)
    expected = site.channels(ratio) * direction + site.channels(layer.bias)
    same(output, expected, [x, *handle.parameters()])


ALL = {**ROW_CASES, **{f"oft, {name}": ("oft", one) for name, one in OFT_CASES.items()}}
ALL["sine-dora"] = ("sine-dora", {"rank": 2})


@pytest.mark.parametrize(("method", "settings"), ALL.values(), ids=ALL)
def test_it_acts_in_training_alone_and_by_torch_s_seed(method: str, settings: Any) -> None:
    layer, x = linear()
    layer, handle, adapter = shaken(layer, method, settings)
    handle.train(False)
    quiet = layer(x)
    expected = adapter.site.apply(x, adapter.effective(adapter.site.weight()), layer.bias)
    torch.testing.assert_close(quiet, expected)
    assert torch.equal(layer(x), quiet)
    handle.train()
    torch.manual_seed(4)
    first, second = layer(x), layer(x)
    torch.manual_seed(4)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)
    before = adapter.effective(adapter.site.weight())
    handle.merge()  # in training mode too the whole change
    torch.testing.assert_close(layer.weight, before)


@pytest.mark.parametrize(("method", "settings"), ALL.values(), ids=ALL)
def test_checkpointing_draws_the_same_mask_twice(method: str, settings: Any) -> None:
    layer, x = linear()
    x.requires_grad_()
    layer, handle, _ = shaken(layer, method, settings)
    handle.train()
    torch.manual_seed(4)
    plain = layer(x)
    torch.manual_seed(4)
    again = checkpoint(layer, x, use_reentrant=False)
    same(again, plain, [x, *handle.parameters()])


@pytest.mark.parametrize("method", ["loha", "lokr", "oft"])
def test_it_acts_on_parts_and_beside_other_grafts(method: str) -> None:
    """Where no adapter makes the layer's output alone, and no mask of W's size is formed."""
    settings = {"block_size": 2} if method == "oft" else {"rank": 2}
    torch.manual_seed(0)
    model = nn.Sequential()
    model.qkv = nn.Linear(COLS, 3 * COLS).double()
    handles = [
        graft(model, method, {**settings, "dropout": SHARE}, sites="*", name=name, dtype=DOUBLE)
        for name in ("a", "b")
    ]
    x = torch.randn(3, COLS, dtype=DOUBLE)
    with torch.no_grad():
        for handle in handles:
            for parameter in handle.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    quiet = model.qkv(x)
    for handle in handles:
        handle.train()
    assert not torch.allclose(model.qkv(x), quiet)
    handles[0].detach()
    assert not torch.allclose(model.qkv(x), model.qkv(x))


def test_units_stay_with_their_share() -> None:
    layer = nn.Dropout(0.3)
    torch.manual_seed(0)
    kept = drawn_units(layer, 20_000, torch.device("cpu"))
    assert kept is not None
    assert float(kept.double().mean()) == pytest.approx(0.7, abs=0.01)
    assert drawn_units(layer.eval(), 5, torch.device("cpu")) is None
    assert drawn_units(nn.Dropout(0.0), 5, torch.device("cpu")) is None
