"""What the trials of the study's search came to."""

import json
import tomllib
from collections.abc import Iterator, Mapping
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
    subject: str
    seed: int
    rate: float
    parameters: int
    metrics: Mapping[str, float]


def trials(search: Path) -> Iterator[Trial]:
    """The trials of a finished search.

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
            adapter=name(choices[choice]),
            subject=run["data"]["class_word"],
            seed=run["seed"],
            rate=run["adapter"].get("lr", run["optimizer"]["lr"]),
            parameters=row["parameters"],
            metrics=row["metrics"],
        )


def name(choice: Mapping[str, Any]) -> str:
    """An adapter's name in the tables: "lora, rank 4"."""
    rest = [f"{NAMES.get(key, key)} {value}" for key, value in choice.items() if key not in UNNAMED]
    return ", ".join([choice["kind"], *rest])
