"""Time and memory of the adapters on attention projections, beside PEFT's and LyCORIS's.

    python benchmarks/adapters.py [rounds] [bf16] [only=lora,dora]

A stack of q, k, v (which share their input) and o at widths 320, 640 and 1280 with 4096, 1024 and
256 tokens: the shapes of SD1.5 at 512 x 512. Rank 8, adapters in float32; the stack in float32 or,
with `bf16`, in bfloat16. On a CPU one thread, and a time is CPU time; on a GPU, where there is one,
the device's own. Time is that of forward and backward over that of the frozen stack with the
gradient of its input, the median of interleaved rounds; ratios within 0.05 are noise. "kept" is
what autograd holds for backward and the frozen stack does not, the stack's own output left out. On
a GPU LyCORIS picks its fused kernels by itself, and Sine-LoRA is tried with one of ours as well.
"""

import copy
import logging
import math
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graftwork.nn import graft
from measure import interleaved, kept_bytes, peak_over, ratios

SHAPES = ((320, 4096), (640, 1024), (1280, 256))
RANK = 8
NAMES = ["to_q", "to_k", "to_v", "to_out"]

OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "lora": ("lora", {"rank": RANK}),
    "lora, dropout": ("lora", {"rank": RANK, "dropout": 0.1}),
    "dora": ("dora", {"rank": RANK}),
    "sine-lora": ("sine-lora", {"rank": RANK}),
    "loha": ("loha", {"rank": RANK}),
    "lokr": ("lokr", {"rank": RANK}),
    "oft": ("oft", {"block_size": 32}),
    "tlora": ("tlora", {"rank": RANK}),
    "style-inject": ("style-inject", {"rank": RANK}),
}


class Projections(nn.Module):
    """q, k and v of one input, and o of their sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(width, width) for _ in NAMES)

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
        return self.layer(x) + F.linear(x, change.to(x.dtype))


def makers() -> dict[str, Callable[[Stack], nn.Module]]:
    """How each variant is made from a copy of the frozen stack."""
    ours = {name: _ours(method, settings) for name, (method, settings) in OURS.items()}
    naive = {"sine, as its equation": _naive_sine}
    tried = _triton_sine() if torch.cuda.is_available() else {}
    return {"frozen": lambda stack: stack} | ours | naive | tried | _peft() | _lycoris()


def _ours(method: str, settings: dict[str, Any]) -> Callable[[Stack], nn.Module]:
    def make(stack: Stack) -> nn.Module:
        graft(stack, method, settings, sites="*").train()
        return stack

    return make


def _naive_sine(stack: Stack) -> nn.Module:
    for block in stack.blocks:
        for name, layer in list(block.named_children()):
            setattr(block, name, NaiveSine(layer))
    return stack


def _triton_sine() -> dict[str, Callable[[Stack], nn.Module]]:
    try:
        from kernels.sine_triton import TritonSineSum
    except ImportError:
        return {}

    def make(stack: Stack) -> nn.Module:
        for adapter in graft(stack, "sine-lora", {"rank": RANK}, sites="*").sites.values():
            adapter.effective = lambda weight, a=adapter: TritonSineSum.apply(  # type: ignore[method-assign]
                weight, a.down, a.up, a.omega, a.gain
            )
        return stack.train()

    return {"sine-lora, Triton": make}


def _peft() -> dict[str, Callable[[Stack], nn.Module]]:
    try:
        import peft
    except ImportError:
        return {}
    configs = {
        "lora, PEFT": peft.LoraConfig(r=RANK, target_modules=NAMES),
        "lora, dropout, PEFT": peft.LoraConfig(r=RANK, target_modules=NAMES, lora_dropout=0.1),
        "dora, PEFT": peft.LoraConfig(r=RANK, target_modules=NAMES, use_dora=True),
        "loha, PEFT": peft.LoHaConfig(r=RANK, target_modules=NAMES),
        "lokr, PEFT": peft.LoKrConfig(r=RANK, target_modules=NAMES),
        "oft, PEFT": peft.OFTConfig(r=0, oft_block_size=32, target_modules=NAMES),
    }
    return {
        name: lambda stack, config=config: peft.inject_adapter_in_model(config, stack)
        for name, config in configs.items()
    }


def _lycoris() -> dict[str, Callable[[Stack], nn.Module]]:
    try:
        from lycoris import LycorisNetwork, create_lycoris
    except ImportError:
        return {}

    def make(stack: Stack, algo: str, options: dict[str, Any]) -> nn.Module:
        LycorisNetwork.apply_preset({"target_module": ["Linear"]})
        settings = {"linear_dim": RANK, "linear_alpha": RANK, **options}
        network = create_lycoris(stack, 1.0, algo=algo, **settings)
        network.apply_to()
        network.train()
        stack.lycoris = network  # keeps it, and its parameters, with the stack
        return stack

    algos: dict[str, tuple[str, dict[str, Any]]] = {
        "lora, LyCORIS": ("lora", {}),
        "lora, LyCORIS bypass": ("lora", {"bypass_mode": True}),
        "dora, LyCORIS": ("lora", {"dora_wd": True}),
        "loha, LyCORIS": ("loha", {}),
        "lokr, LyCORIS": ("lokr", {}),
        "oft, LyCORIS": ("diag-oft", {"linear_dim": 32}),
    }
    return {
        name: lambda stack, algo=algo, options=options: make(stack, algo, options)
        for name, (algo, options) in algos.items()
    }


def stepper(model: nn.Module, inputs: list[Tensor], gradients: list[Tensor]) -> Any:
    wanted = [p for p in model.parameters() if p.requires_grad] + inputs

    def step() -> None:
        torch.autograd.grad(model(inputs), wanted, gradients, allow_unused=True)

    return step


def chosen(words: list[str]) -> dict[str, Callable[[Stack], nn.Module]]:
    """All variants, or those of the methods after `only=`."""
    every = makers()
    methods = [word.removeprefix("only=").split(",") for word in words if word.startswith("only=")]
    if not methods:
        return every
    return {n: m for n, m in every.items() if n == "frozen" or n.split(",")[0] in methods[0]}


def main(words: list[str]) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if "bf16" in words else torch.float32
    rounds = next((int(word) for word in words if word.isdigit()), 11)
    logging.disable(logging.INFO)  # LyCORIS tells of every network it makes
    torch.set_num_threads(1)
    torch.manual_seed(0)
    place = {"device": device, "dtype": dtype}
    inputs = [torch.randn(tokens, width, **place).requires_grad_() for width, tokens in SHAPES]
    gradients = [torch.randn_like(x) for x in inputs]
    base = Stack().to(**place).requires_grad_(False)
    models = {}
    for name, make in chosen(words).items():
        try:
            models[name] = make(copy.deepcopy(base))
        except Exception as error:  # a peer that cannot is told, and the others go on
            print(f"{name}: {type(error).__name__}: {error}")
    kept = {n: kept_bytes(lambda model=model: model(inputs), model) for n, model in models.items()}
    steps = {name: stepper(model, inputs, gradients) for name, model in models.items()}
    peaks = {n: peak_over(step) for n, step in steps.items()} if device.type == "cuda" else {}
    times = ratios(interleaved(steps, rounds, device), "frozen")
    print(f"{dtype}, {device.type}, {rounds} rounds")
    print(f"{'variant':22} {'time / frozen':>14} {'kept over frozen, MiB':>23}")
    for name, ratio in times.items():
        over = (kept[name] - kept["frozen"]) / 2**20
        peak = f"   peak {peaks[name]:.0f} MiB" if peaks else ""
        print(f"{name:22} {ratio:14.2f} {over:23.1f}{peak}")


if __name__ == "__main__":
    main(sys.argv[1:])
