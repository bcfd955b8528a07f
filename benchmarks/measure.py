"""What the benchmarks share: interleaved timing in CPU time, kept bytes, peak memory."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch


def interleaved(
    variants: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """CPU seconds of every variant in every round; a busy machine slows all of a round alike."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for call in variants.values():
        call()
    for _ in range(rounds):
        for name, call in variants.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return times


def ratios(times: Mapping[str, list[float]], base: str) -> dict[str, float]:
    """Median over the rounds of each variant's time over the base's."""
    return {
        name: statistics.median(t / b for t, b in zip(own, times[base], strict=True))
        for name, own in times.items()
    }


def kept_bytes(forward: Callable[[], torch.Tensor], model: torch.nn.Module) -> int:
    """Unique bytes that autograd holds after a forward pass, parameters left out."""
    own = {tensor.untyped_storage().data_ptr() for tensor in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = forward()
    total = sum(kept.values())
    del output
    return total


def reset_peak() -> float:
    """Forget the peak of resident memory so far; MiB resident now. Linux only."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak() -> float:
    """MiB resident at the highest since `reset_peak`."""
    return _status("VmHWM")


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))
