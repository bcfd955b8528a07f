"""How long it takes to graft, save, load, merge and detach on a UNet of SD1.5's size.

    python benchmarks/injection.py

The UNet is diffusers' own class with SD1.5's configuration (860 M parameters), in bfloat16, with
random weights: it is built without storage and filled by tiling a million random numbers, so no
download and no minute of drawing. LoRA of rank 8 goes on its 128 attention projections; PEFT's
injection on the same is beside it, and both on 2,048 small layers. Times are CPU seconds.
"""

import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from graftwork.nn import graft, load_graft
from measure import peak, reset_peak

PROJECTIONS = ["*.attn[12].to_[qkv]", "*.attn[12].to_out.0"]


def unet() -> nn.Module:
    """SD1.5's UNet with tiled random weights in bfloat16."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        model = UNet2DConditionModel(sample_size=64, cross_attention_dim=768).to(torch.bfloat16)
    model.to_empty(device="cpu")
    tile = 0.02 * torch.randn(2**20, dtype=torch.bfloat16)
    with torch.no_grad():
        for parameter in model.parameters():
            for piece in parameter.view(-1).split(len(tile)):
                piece.copy_(tile[: len(piece)])
    return model.requires_grad_(False)


def small_layers(count: int = 2048) -> nn.Module:
    """Many small linear layers."""
    return nn.ModuleList([nn.Linear(64, 64) for _ in range(count)])


@contextmanager
def timed(what: str, layers: int) -> Iterator[None]:
    resident = reset_peak()
    start, wall = time.process_time(), time.perf_counter()
    yield
    cpu, wall = time.process_time() - start, time.perf_counter() - wall
    print(
        f"  {what:22} {cpu:7.3f} s CPU {wall:7.3f} s wall {1e3 * cpu / layers:7.2f} ms per layer"
        f"  peak +{peak() - resident:6.0f} MiB"
    )


def ours(model: nn.Module, sites: Any, folder: Path) -> None:
    layers = len(warm(model, sites))
    print(f"graftwork, {layers} layers")
    with timed("graft", layers):
        handle = graft(model, "lora", {"rank": 8}, sites=sites)
    with timed("save", layers):
        handle.save(folder)
    with timed("detach", layers):
        handle.detach()
    with timed("load", layers):
        handle = load_graft(model, folder)
    with timed("second graft", layers):
        second = graft(model, "lora", {"rank": 8}, sites=sites, name="second")
    second.detach()
    with timed("merge", layers):
        handle.merge()


def warm(model: nn.Module, sites: Any) -> Any:
    """Pay for imports once; the sites that the patterns name."""
    small = nn.ModuleList([nn.Linear(8, 8)])
    with tempfile.TemporaryDirectory() as folder:
        handle = graft(small, "lora", {"rank": 2}, sites="*")
        handle.save(Path(folder) / "adapter")
        handle.detach()
        load_graft(small, Path(folder) / "adapter")
    from graftwork.nn.match import match_sites

    return match_sites(model, sites)


def theirs(build: Callable[[], nn.Module], targets: list[str] | str, layers: int) -> None:
    from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model

    print(f"PEFT, {layers} layers")
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["0"]), nn.Sequential(nn.Linear(8, 8)))
    model = build()
    with timed("inject", layers):
        inject_adapter_in_model(LoraConfig(r=8, target_modules=targets), model)
    with timed("state dict", layers):
        get_peft_model_state_dict(model)
    with timed("second adapter", layers):
        inject_adapter_in_model(LoraConfig(r=8, target_modules=targets), model, "second")


def main() -> None:
    torch.set_num_threads(1)
    model = unet()
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.0f} M parameters")
    with tempfile.TemporaryDirectory() as folder:
        ours(model, PROJECTIONS, Path(folder) / "unet")
        theirs(lambda: model, ["to_q", "to_k", "to_v", "to_out.0"], 128)
        del model
        layers = small_layers()
        ours(copy.deepcopy(layers), "*", Path(folder) / "small")
        theirs(lambda: layers, r"\d+", 2048)


if __name__ == "__main__":
    main()
