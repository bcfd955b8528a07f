"""What the trials of a search over whole adapter tables came to."""

import json
import statistics
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = {"block_size": "block", "transform_rank": "transform"}
UNNAMED = ("kind", "lr", "sites", "initial", "placeholder")


@dataclass(frozen=True)
class Trial:
    """One finished trial."""

    choice: int
    """Which of the file's adapters, in their order."""
    adapter: str
    run: Mapping[str, Any]
    """Its run file."""
    parameters: int
    before: Mapping[str, float]
    """What the frozen backbone came to."""
    metrics: Mapping[str, float]

    @property
    def rate(self) -> float:
        """The learning rate that it trained at."""
        rate: float = self.run["adapter"].get("lr", self.run["optimizer"]["lr"])
        return rate


def trials(search: Path, unnamed: Sequence[str] = UNNAMED) -> Iterator[Trial]:
    """The trials of a finished search; settings in `unnamed` are no part of an adapter's name.

    Raises:
        SystemExit: one of them is not finished.
    """
    file = tomllib.loads((search / "run.toml").read_text())
    choices = file["search"]["space"]["adapter"]
    for row in json.loads((search / "leaderboard.json").read_text())["trials"]:
        if row["status"] != "finished":
            raise SystemExit(f"{search / row['folder']}: {row['status']}; resume {search}")
        run = tomllib.loads((search / row["folder"] / "run.toml").read_text())
        choice = next(i for i, one in enumerate(choices) if one.items() <= run["adapter"].items())
        yield Trial(
            choice=choice,
            adapter=name(choices[choice], unnamed),
            run=run,
            parameters=row["parameters"],
            before=json.loads((search / row["folder"] / "outcome.json").read_text())["before"],
            metrics=row["metrics"],
        )


def name(choice: Mapping[str, Any], unnamed: Sequence[str]) -> str:
    """An adapter's name in the tables: "lora, rank 4"."""
    rest = [
        f"{NAMES.get(key, key)} {shown(value)}"
        for key, value in choice.items()
        if key not in unnamed
    ]
    return ", ".join([choice["kind"], *rest])


def shown(value: object) -> str:
    """A setting's value; patterns in backquotes, for Markdown."""
    return f"`{' '.join(map(str, value))}`" if isinstance(value, list) else str(value)


def spread(rows: Sequence[Trial], metric: str, digits: int = 3) -> str:
    """Mean and standard deviation over the seeds."""
    return f"{mean(rows, metric):.{digits}f} ± {deviation(rows, metric):.{digits}f}"


def mean(rows: Sequence[Trial], metric: str) -> float:
    return statistics.mean(row.metrics[metric] for row in rows)


def deviation(rows: Sequence[Trial], metric: str) -> float:
    return statistics.stdev(row.metrics[metric] for row in rows)
