"""Time and memory of the adapters on attention projections, beside PEFT's.

    python benchmarks/adapters.py [rounds]

A stack of q, k, v (which share their input) and o at widths 320, 640 and 1280 with 4096, 1024 and
256 tokens: the shapes of SD1.5 at 512 x 512. float32, rank 8, one thread, no dropout. Time is the
CPU time of forward and backward over that of the frozen stack with the gradient of its input, the
median of interleaved rounds; ratios within 0.05 are noise. "kept" is what autograd holds for
backward and the frozen stack does not.
"""

import copy
import math
import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graftwork.nn import graft
from measure import interleaved, kept_bytes, ratios

SHAPES = ((320, 4096), (640, 1024), (1280, 256))
RANK = 8


class Projections(nn.Module):
    """q, k and v of one input, and o of their sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.to_out(self.to_q(x) + self.to_k(x) + self.to_v(x))


class Stack(nn.Module):
    """One block of projections for each shape, on inputs of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Projections(width) for width, _ in SHAPES])

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        return [block(x) for block, x in zip(self.blocks, inputs, strict=True)]


class NaiveSine(nn.Module):
    """Sine-LoRA as its equation has it."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Parameter(torch.randn(RANK, layer.in_features) / layer.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(layer.out_features, RANK))
        self.gain = 1 / math.sqrt(layer.in_features)

    def forward(self, x: Tensor) -> Tensor:
        change = self.gain * torch.sin(200.0 * (self.up @ self.down))
        return self.layer(x) + F.linear(x, change)


def variants(base: Stack) -> dict[str, nn.Module]:
    made: dict[str, nn.Module] = {"frozen": base}
    for method in ("lora", "dora", "sine-lora"):
        made[method] = copy.deepcopy(base)
        graft(made[method], method, {"rank": RANK}, sites="*")
    naive = copy.deepcopy(base)
    for block in naive.blocks:
        for name, layer in list(block.named_children()):
            setattr(block, name, NaiveSine(layer))
    made["sine, as its equation"] = naive
    return made | _peft(base)


def _peft(base: Stack) -> dict[str, nn.Module]:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        return {}
    targets = ["to_q", "to_k", "to_v", "to_out"]
    configs = {
        "lora, PEFT": LoraConfig(r=RANK, target_modules=targets),
        "dora, PEFT": LoraConfig(r=RANK, target_modules=targets, use_dora=True),
    }
    return {
        name: inject_adapter_in_model(config, copy.deepcopy(base))
        for name, config in configs.items()
    }


def stepper(model: nn.Module, inputs: list[Tensor], gradients: list[Tensor]) -> Any:
    wanted = [p for p in model.parameters() if p.requires_grad] + inputs

    def step() -> None:
        torch.autograd.grad(model(inputs), wanted, gradients)

    return step


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    inputs = [torch.randn(tokens, width, requires_grad=True) for width, tokens in SHAPES]
    gradients = [torch.randn_like(x) for x in inputs]
    models = variants(Stack().requires_grad_(False))
    steps = {name: stepper(model, inputs, gradients) for name, model in models.items()}
    kept = {
        name: kept_bytes(lambda model=model: model(inputs), model) for name, model in models.items()
    }
    times = interleaved(steps, rounds)
    print(f"{'variant':24} time / frozen   kept over frozen, MiB")
    for name, ratio in ratios(times, "frozen").items():
        print(f"{name:24} {ratio:13.2f} {(kept[name] - kept['frozen']) / 2**20:23.1f}")


if __name__ == "__main__":
    main()
