"""Methods whose sites share something, and those that allocate ranks while they train."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from graftwork.nn import Graft, graft, load_graft


def blocks(count: int = 3) -> nn.Module:
    torch.manual_seed(7)
    parts = [nn.Sequential(OrderedDict(to_q=nn.Linear(8, 8), act=nn.Tanh())) for _ in range(count)]
    return nn.Sequential(*parts).eval()


def test_a_shared_bank_counts_and_is_saved_once(tmp_path: Path) -> None:
    settings = {"rank": 2, "vector_length": 4, "num_vectors": 16}
    handle = graft(blocks(), "peft/vblora", settings, sites="*")
    keys = [key for key in handle.state_dict() if "bank" in key]
    assert keys == ["0.to_q.common.vblora_vector_bank.default"]
    logits = 3 * 2 * (2 * 2 * 16)  # A and B of every site, each 2 ranks of 2 pieces
    assert handle.num_parameters() == 16 * 4 + logits
    first, *others = (adapter.tuner for adapter in handle.sites.values())
    assert all(other.vblora_vector_bank is first.vblora_vector_bank for other in others)

    loaded = load_graft(blocks(), handle.save(tmp_path / "a"))
    first, *others = (adapter.tuner for adapter in loaded.sites.values())
    assert all(other.vblora_vector_bank is first.vblora_vector_bank for other in others)


def test_a_shared_tensor_gets_the_gradients_of_all_sites() -> None:
    """Against central differences, on a linear layer and on a convolution."""
    torch.manual_seed(7)
    model = nn.Sequential(nn.Conv2d(4, 8, 1), nn.Flatten(2), nn.Linear(4, 4)).double()
    x = torch.randn(3, 4, 2, 2, dtype=torch.float64)
    settings = {"rank": 2, "vector_length": 4, "num_vectors": 16}
    handle = graft(model, "peft/vblora", settings, sites="*", dtype=torch.float64)
    bank = next(p for name, p in handle.named_parameters() if "bank" in name)
    [gradient] = torch.autograd.grad(model(x).square().sum(), bank)
    row, numeric = int(gradient.abs().sum(1).argmax()), torch.zeros(4, dtype=torch.float64)
    for column in range(4):
        with torch.no_grad():
            for sign in (1, -1):
                bank[row, column] += sign * 1e-5
                numeric[column] += sign * model(x).square().sum() / 2e-5
                bank[row, column] -= sign * 1e-5
    assert gradient[row].abs().min() > 0
    assert torch.allclose(gradient[row], numeric, rtol=1e-6)


def test_lily_shares_between_like_named_layers() -> None:
    handle = graft(blocks(), "peft/lily", {"rank": 4, "stride_A": 2}, sites="*")
    first, second, third = (adapter.tuner for adapter in handle.sites.values())
    assert first.lily_B["default"] is second.lily_B["default"] is third.lily_B["default"]
    assert first.lily_A["default"] is second.lily_A["default"]
    assert first.lily_A["default"] is not third.lily_A["default"]


def test_adalora_prunes_to_its_budget_in_any_loop(tmp_path: Path) -> None:
    settings = {"init_r": 4, "target_r": 2, "total_step": 12, "tinit": 2, "tfinal": 2}
    handle = graft(blocks(), "peft/adalora", settings, sites="*")
    bystander = graft(blocks(), "peft/adalora", settings, sites="*")
    assert _train(handle, 4) == 4
    other = blocks()
    loaded = load_graft(other, handle.save(tmp_path / "a"))
    assert _train(loaded, 1) == 5  # the count goes on
    assert _train(handle, 8) == 12
    values = [t for k, t in handle.state_dict().items() if "lora_E" in k]
    assert sum(int(value.count_nonzero()) for value in values) == 3 * 2
    assert _train(bystander, 0) == 0


def _train(handle: Graft, steps: int) -> int:
    """Steps of a plain loop; how many PEFT's allocator has seen."""
    torch.manual_seed(1)
    x, target = torch.randn(6, 8), torch.randn(6, 8)
    handle.train()
    optimizer = torch.optim.Adam([p for p in handle.parameters() if p.requires_grad], lr=0.05)
    for _ in range(steps):
        (handle.model(x) - target).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    first: Any = next(iter(handle.sites.values()))
    return int(first.step.done)
