"""What adapters keep for the backward pass of a UNet of SD1.5's size.

    python benchmarks/unet_kept.py [side=32]

The UNet of `injection.py` in float32, one latent of 4 x side x side (64 for pictures of 512 x 512),
77 tokens, adapters of rank 8 on the 128 attention projections. What is printed is beyond what the
frozen UNet keeps for the gradient of its input; it grows with the tokens, so a smaller side shows
less. PEFT's LoRA is beside ours.
"""

import sys
from collections.abc import Callable

import torch
from injection import PROJECTIONS, unet
from torch import Tensor, nn

from graftwork.nn import graft
from measure import kept_bytes

THEIRS = ["to_q", "to_k", "to_v", "to_out.0"]


def kept(model: nn.Module, side: int) -> float:
    """MiB."""
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(1, 4, side, side, generator=generator).requires_grad_()
    words = torch.randn(1, 77, 768, generator=generator)

    def forward() -> list[Tensor]:
        return [model(latent, torch.tensor([500]), words).sample]

    return kept_bytes(forward, model) / 2**20


def peft(use_dora: bool) -> Callable[[nn.Module], Callable[[], object]]:
    def put(model: nn.Module) -> Callable[[], object]:
        from peft import LoraConfig, inject_adapter_in_model

        config = LoraConfig(r=8, target_modules=THEIRS, use_dora=use_dora)
        inject_adapter_in_model(config, model)
        return lambda: None

    return put


def ours(method: str) -> Callable[[nn.Module], Callable[[], object]]:
    return lambda model: graft(model, method, {"rank": 8}, sites=PROJECTIONS).detach


def main() -> None:
    side = next((int(w.partition("=")[2]) for w in sys.argv if w.startswith("side=")), 32)
    model = unet().float()
    base = kept(model, side)
    print(f"the frozen UNet keeps {base:.0f} MiB at {side} x {side}; over that:")
    for name, put in {
        "lora": ours("lora"),
        "dora": ours("dora"),
        "sine-lora": ours("sine-lora"),
        "lora, PEFT": peft(False),
    }.items():
        take_off = put(model)
        print(f"  {name:16} {kept(model, side) - base:8.1f} MiB", flush=True)
        take_off()


if __name__ == "__main__":
    main()
