"""The methods compared, each with the settings that come nearest to a budget of parameters."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from graftwork.core import registry
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Method:
    """A line of the study: an adapter under some of its settings."""

    label: str
    adapter: str
    fixed: Settings
    """Settings that make it this line and no other."""

    def sized(self, size: int) -> Iterator[tuple[int, Settings]]:
        """(parameters, settings) for every size of this method on a square layer."""
        for settings in _SIZES[self.adapter](self.fixed):
            model = nn.Sequential(nn.Linear(size, size, bias=False))
            try:
                handle = graft(model, self.adapter, settings, sites="0")
            except GraftworkError:
                continue  # a rank above the size
            yield handle.num_parameters(), settings

    def variants(self, settings: Settings, change: Tensor) -> list[Settings]:
        """What is tuned besides the learning rate."""
        if self.adapter != "sine-lora":
            return [settings]
        # No entry exceeds alpha / (rank sqrt(cols)): room for all of them, or for most.
        bounds = (1.2 * float(change.abs().max()), 2 * float(change.std()))
        unit = settings["rank"] * math.sqrt(change.shape[1])
        return [
            {**settings, "omega": omega, "alpha": bound * unit}
            for omega, bound in itertools.product((30.0, 200.0), bounds)
        ]


def methods() -> list[Method]:
    """Those that are installed."""
    installed = {record.name for record in registry.records("adapters")}
    return [method for method in _METHODS if method.adapter in installed]


def nearest(found: list[tuple[int, Settings]], budget: int) -> tuple[int, Settings]:
    """The settings nearest to a budget; where a transform and a residual share it, those within a
    fifth of it whose shares are most alike."""
    close = [one for one in found if abs(one[0] / budget - 1) <= 0.2]
    if close and close[0][1].get("residual", "none") != "none":
        return min(close, key=lambda one: (abs(2 * _transform(one[1]) - one[0]), -one[0]))
    return min(found, key=lambda one: abs(math.log(one[0] / budget)))


def _transform(settings: Settings) -> int:
    return settings["transform_rank"] ** 2 * (4**2 + 4**2 + 8**2)


def _ranks(fixed: Settings) -> Iterator[Settings]:
    return ({**fixed, "rank": rank} for rank in range(1, 33))


def _kronecker(fixed: Settings) -> Iterator[Settings]:
    return (
        {**fixed, "factor": factor, "rank": rank}
        for factor, rank in itertools.product((2, 4, 8), (1, 2, 4, 8, 12, 16, 24, 128))
    )


def _blocks(fixed: Settings) -> Iterator[Settings]:
    return ({**fixed, "block_size": size} for size in (4, 8, 16, 32, 64))


def _rings(fixed: Settings) -> Iterator[Settings]:
    transforms = (fixed["transform_rank"],) if "transform_rank" in fixed else range(1, 7)
    ranks = (1,) if fixed["residual"] == "none" else range(1, 13)
    for transform, rank in itertools.product(transforms, ranks):
        yield {**fixed, "transform_rank": transform, "rank": rank}


_SIZES = {
    "lora": _ranks,
    "dora": _ranks,
    "sine-lora": _ranks,
    "loha": _ranks,
    "lokr": _kronecker,
    "oft": _blocks,
    "tlora": _rings,
}
_METHODS = (
    Method("lora", "lora", {}),
    Method("dora", "dora", {}),
    Method("sine-lora", "sine-lora", {}),
    Method("loha", "loha", {}),
    Method("lokr", "lokr", {}),
    Method("oft", "oft", {}),
    Method("tlora, transform alone", "tlora", {"residual": "none"}),
    Method("tlora, transform alone, paper's start", "tlora", {"residual": "none", "init": "paper"}),
    Method("tlora + lora", "tlora", {"residual": "lora"}),
    Method("tlora + lora, paper's start", "tlora", {"residual": "lora", "init": "paper"}),
    Method("tlora + tensor ring", "tlora", {"residual": "tensor-ring"}),
    Method(
        "tlora + tensor ring, paper's start",
        "tlora",
        {"residual": "tensor-ring", "init": "paper"},
    ),
)
