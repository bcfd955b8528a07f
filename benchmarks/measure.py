"""What the benchmarks share: interleaved timing in CPU time, kept bytes, peak memory."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

CPU = torch.device("cpu")


def interleaved(
    variants: Mapping[str, Callable[[], object]], rounds: int, device: torch.device = CPU
) -> dict[str, list[float]]:
    """Seconds of every variant in every round: of the CPU's work, or of a GPU's.

    A busy machine slows all of a round alike.
    """
    times: dict[str, list[float]] = {name: [] for name in variants}
    for call in variants.values():
        call()
    for _ in range(rounds):
        for name, call in variants.items():
            times[name].append(_seconds(call, device))
    return times


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    if device.type == "cpu":
        start = time.process_time()
        call()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_over(call: Callable[[], object]) -> float:
    """MiB of a GPU's memory that a call needs at its highest over what was in use before."""
    call()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def ratios(times: Mapping[str, list[float]], base: str) -> dict[str, float]:
    """Median over the rounds of each variant's time over the base's."""
    return {
        name: statistics.median(t / b for t, b in zip(own, times[base], strict=True))
        for name, own in times.items()
    }


def kept_bytes(forward: Callable[[], list[torch.Tensor]], model: torch.nn.Module) -> int:
    """Unique bytes that autograd holds after a forward pass, beside parameters and outputs."""
    own = {tensor.untyped_storage().data_ptr() for tensor in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        outputs = forward()
    held = {output.untyped_storage().data_ptr() for output in outputs}
    return sum(size for pointer, size in kept.items() if pointer not in held)


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
