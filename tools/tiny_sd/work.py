"""What every training stage needs: a place for its state, and a line of progress."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch


class Stateful(Protocol):
    """A model, an optimiser or a running average: whatever can be saved and restored."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


@dataclass(frozen=True)
class Work:
    """The folder with everything a stage leaves for the next one, and for its own resumption."""

    folder: Path

    def state_file(self, stage: str) -> Path:
        return self.folder / f"{stage}-state.pt"

    def load_state(self, stage: str) -> dict[str, Any] | None:
        """The interrupted state of a stage, or None when it starts afresh."""
        path = self.state_file(stage)
        return torch.load(path, weights_only=True) if path.exists() else None

    def resume(self, stage: str, parts: dict[str, Stateful]) -> tuple[int, float]:
        """Restore the parts of an interrupted stage: the first step to do, the seconds spent."""
        state = self.load_state(stage)
        if state is None:
            return 0, 0.0
        for name, part in parts.items():
            part.load_state_dict(state[name])
        return state["step"], state["seconds"]

    def save(self, stage: str, parts: dict[str, Stateful], step: int, seconds: float) -> None:
        """Write beside, then rename: an interruption leaves the previous state whole."""
        state: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}
        state |= {"step": step, "seconds": seconds}
        beside = self.state_file(stage).with_suffix(".part")
        torch.save(state, beside)
        os.replace(beside, self.state_file(stage))

    def is_done(self, stage: str) -> bool:
        return (self.folder / f"{stage}.done.json").exists()

    def facts(self, stage: str) -> dict[str, Any]:
        """What a finished stage measured about itself."""
        facts: dict[str, Any] = json.loads((self.folder / f"{stage}.done.json").read_text())
        return facts

    def mark_done(self, stage: str, facts: dict[str, Any]) -> None:
        (self.folder / f"{stage}.done.json").write_text(json.dumps(facts, indent=2) + "\n")


@contextmanager
def stopwatch(name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"{name}: {(time.monotonic() - started) / 60:.1f} min", flush=True)


class Progress:
    """Prints the mean of each measured value every `every` steps, and keeps the time spent."""

    def __init__(self, stage: str, steps: int, every: int = 100, seconds: float = 0.0) -> None:
        self.stage, self.steps, self.every = stage, steps, every
        self._sums: dict[str, float] = {}
        self._count = 0
        self._started = time.monotonic() - seconds

    @property
    def seconds(self) -> float:
        """Time spent on the stage, earlier runs included."""
        return time.monotonic() - self._started

    def note(self, step: int, **values: float) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
        self._count += 1
        if (step + 1) % self.every == 0 or step + 1 == self.steps:
            means = "  ".join(f"{n} {total / self._count:.4f}" for n, total in self._sums.items())
            print(
                f"{self.stage}  {step + 1}/{self.steps}  {means}  {self.seconds / 60:.1f} min",
                flush=True,
            )
            self._sums, self._count = {}, 0


def warm_then_cosine(step: int, steps: int, warm: int = 100, floor: float = 0.02) -> float:
    """Learning-rate factor: linear warm-up, then half a cosine down to `floor`."""
    if step < warm:
        return (step + 1) / warm
    done = torch.tensor(torch.pi * (step - warm) / max(1, steps - warm))
    return floor + (1 - floor) * 0.5 * (1 + float(torch.cos(done)))
