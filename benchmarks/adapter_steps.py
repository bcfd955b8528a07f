"""What a training step costs with each adapter that a run file searches over.

python benchmarks/adapter_steps.py [examples/adapters.toml] [--out costs.json]

Milliseconds of CPU time on one thread, the median over rounds in which the adapters take turns,
and MiB that autograd keeps for the backward pass.
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from graftwork.train import runfile
from graftwork.train.runfile import RunFile
from graftwork.train.session import open_session
from graftwork.tune.space import label, trial_table
from measure import interleaved, kept_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=Path("examples/adapters.toml"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    file = runfile.read(arguments.file)
    tables = (file.space or {})["adapter"]
    costs = measured([Step(file, table) for table in tables], arguments.rounds)
    print("| adapter | CPU ms | kept, MiB |\n|---|--:|--:|")
    for table, cost in zip(tables, costs, strict=True):
        print(f"| {label(table, tables)} | {cost['ms']:.0f} | {cost['kept']:.1f} |")
    if arguments.out:
        arguments.out.write_text(json.dumps(costs, indent=1) + "\n")


def measured(steps: Sequence["Step"], rounds: int) -> list[dict[str, float]]:
    """Milliseconds and kept MiB of every step."""
    times = interleaved({str(index): step for index, step in enumerate(steps)}, rounds)
    return [
        {
            "ms": 1000 * statistics.median(seconds),
            "kept": kept_bytes(step.forward, step.session.backbone.module) / 2**20,
        }
        for step, seconds in zip(steps, times.values(), strict=True)
    ]


class Step:
    """A training step with one adapter, always from the same noise."""

    def __init__(self, file: RunFile, table: Mapping[str, Any]) -> None:
        trial = trial_table(file, {"adapter": table})
        self.session = open_session(runfile.check(trial, name=file.name))
        self.examples = self.session.backbone.prepare(self.session.data)
        self.batch = range(file.train.batch)

    def forward(self) -> list[torch.Tensor]:
        """The loss, before its backward pass."""
        noise = torch.Generator().manual_seed(0)
        step = self.session.backbone.step(
            self.examples, self.batch, needs=frozenset({"prediction"}), generator=noise
        )
        return [(step.prediction - step.target).square().mean()]

    def __call__(self) -> None:
        """Forward and backward."""
        self.forward()[0].backward()
        for parameter in self.session.adapters.parameters():
            parameter.grad = None


if __name__ == "__main__":
    main()
