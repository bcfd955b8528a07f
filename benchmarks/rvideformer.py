"""Time and memory of RViDeformer beside the plain transcription of its specification.

    python benchmarks/rvideformer.py [rounds] [only=T,M] [frames=6] [train]
    python benchmarks/rvideformer.py stream [only=T,tiny] [frames=6]

Same weights, one clip of 6 x 64 x 64 packed pixels, both in the training form. One thread; a time
is CPU time, a ratio the median over interleaved rounds. Memory is what a call makes resident at its
highest, over what was resident before it and after the allocator gave back what it kept: weights
are left out, the workspace of fused kernels is not. `train` takes a step instead: forward, L1,
backward, all weights training, no dropped paths. The reference is the one of the package's tests.
`stream` has frames of 1080p go through in tiles, by ours alone, merged.
"""

import ctypes
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from graftwork.backbones.rvideformer.config import VARIANTS, RViDeformerConfig
from graftwork.backbones.rvideformer.files import load_model
from graftwork.backbones.rvideformer.merging import merge
from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.backbones.rvideformer.official import load_official_state_dict
from graftwork.backbones.rvideformer.streaming import denoise_stream
from graftwork.backbones.rvideformer.tiny import weights
from measure import peak, reset_peak

REFERENCE = Path(__file__).parent.parent / "packages/rvideformer/tests/plain_rvideformer.py"
SIDE = 64


def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plain_rvideformer", REFERENCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pair(config: RViDeformerConfig) -> dict[str, nn.Module]:
    """Ours and the plain one with the same weights."""
    own = config.as_dict()
    plain = reference()
    sizes = {name: own[name] for name in vars(plain.options()) if name in own}
    theirs = plain.randomise(plain.PlainRViDeformer(**sizes), seed=0).eval()
    ours = RViDeformer(config).eval()
    load_official_state_dict(ours, theirs.state_dict())
    return {"ours": ours, "plain": theirs}


def forward(model: nn.Module, clip: Tensor) -> Tensor:
    with torch.no_grad():
        return model(clip)


def step(model: nn.Module, clip: Tensor) -> Tensor:
    model.zero_grad()
    loss = (model(clip) - clip.flip(1)).abs().mean()
    loss.backward()
    return torch.stack([p.grad.double().norm() for p in model.parameters()]).norm()


def measured(call: Callable[[], Tensor]) -> tuple[float, float, Tensor]:
    """CPU seconds, MiB at the highest over before, and the result."""
    ctypes.CDLL(None).malloc_trim(0)
    before, start = reset_peak(), time.process_time()
    result = call()
    return time.process_time() - start, peak() - before, result


def compare(name: str, frames: int, rounds: int, *, training: bool) -> None:
    torch.manual_seed(0)
    models = pair(VARIANTS[name])
    call = step if training else forward
    for model in models.values():
        call(model, torch.rand(1, 1, 4, SIDE, SIDE))
    clip = torch.rand(1, frames, 4, SIDE, SIDE)
    runs: dict[str, list[tuple[float, float, Tensor]]] = {each: [] for each in models}
    for _ in range(rounds):
        for each, model in models.items():
            runs[each].append(measured(lambda model=model: call(model, clip)))
    seconds, memory = ([[run[i] for run in runs[each]] for each in models] for i in (0, 1))
    ratio = statistics.median(a / b for a, b in zip(*seconds, strict=True))
    ours, plain = (statistics.median(each) for each in seconds)
    small, large = (statistics.median(each) for each in memory)
    apart = (runs["ours"][0][2] - runs["plain"][0][2]).abs().max().item()
    print(
        f"{name:7} {ours:8.2f} {plain:8.2f} {ratio:7.3f} {small:8.0f} {large:8.0f}"
        f" {small / large:7.3f} {apart:10.1e}",
        flush=True,
    )


def stream(name: str, frames: int) -> None:
    """Frames of 1080p, made as they are asked for."""
    torch.manual_seed(0)
    model = load_model(weights()) if name == "tiny" else merge(RViDeformer(VARIANTS[name]))
    made = (torch.rand(4, 540, 960) for _ in range(frames))

    def call() -> Tensor:
        return torch.stack([frame.mean() for frame in denoise_stream(model.eval(), made)])

    seconds, memory, means = measured(call)
    assert len(means) == frames
    print(f"{name:7} {seconds / frames:8.2f} {memory:8.0f}", flush=True)


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    given = dict(each.split("=") for each in arguments if "=" in each)
    if "stream" in arguments:
        print(f"1080p, {given.get('frames', '6')} frames\nvariant CPU s a frame, MiB added")
        for name in given.get("only", "T,tiny").split(","):
            stream(name, int(given.get("frames", "6")))
        return
    rounds = next((int(each) for each in arguments if each.isdigit()), 3)
    training = "train" in arguments
    print("training step" if training else "inference", "at", given.get("frames", "6"), "x 64 x 64")
    print(f"variant   ours s  plain s   ratio ours MiB plain MiB  ratio {'difference':>10}")
    for name in given.get("only", "T,M").split(","):
        compare(name, int(given.get("frames", "6")), rounds, training=training)


if __name__ == "__main__":
    main(sys.argv[1:])
