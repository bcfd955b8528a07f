"""Checkpoints: adapters, optimiser and losses at one step, in safetensors and JSON."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from graftwork.core import atomic
from graftwork.core.errors import GraftworkError
from graftwork.nn.loss import Loss
from graftwork.train.adapters import Adapters

LOSSES = "losses.safetensors"
_FOLDER = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    step: int
    """Optimiser steps done."""
    seconds: float
    """Time spent in training, earlier sessions included."""


def save_checkpoint(
    folder: Path,
    adapters: Adapters,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    *,
    losses: Mapping[str, Loss] | None = None,
) -> Path:
    """Write `folder`, whole or not at all; `losses` by name, for what they learn on the way."""
    state, kept = optimizer.state_dict(), adapters.state_dict()
    moments = {
        f"{index}.{key}": value.detach().cpu().contiguous()
        for index, values in state["state"].items()
        for key, value in values.items()
    }
    weights = {name: value.detach().cpu().contiguous() for name, value in kept.items()}
    learned = {
        f"{name}/{key}": value.detach().cpu().contiguous()
        for name, loss in (losses or {}).items()
        for key, value in loss.state().items()
    }
    with atomic.folder(folder, replace=True) as target:
        save_file(weights, target / "adapter.safetensors")
        save_file(moments, target / "optimizer.safetensors")
        if learned:
            save_file(learned, target / LOSSES)
        groups = [_plain(group) for group in state["param_groups"]]
        document = {"step": progress.step, "seconds": progress.seconds, "groups": groups}
        (target / "state.json").write_text(json.dumps(document) + "\n")
    return folder


def load_checkpoint(
    folder: Path,
    adapters: Adapters,
    optimizer: torch.optim.Optimizer,
    *,
    losses: Mapping[str, Loss] | None = None,
) -> Progress:
    """Put a checkpoint back into a run's adapters, their optimiser and the losses.

    Raises:
        GraftworkError: the folder is no checkpoint, or one of another adapter.
    """
    try:
        document = json.loads((folder / "state.json").read_text())
        weights = load_file(folder / "adapter.safetensors")
        moments = load_file(folder / "optimizer.safetensors")
        learned = load_file(folder / LOSSES) if (folder / LOSSES).is_file() else {}
        progress = Progress(int(document["step"]), float(document["seconds"]))
        groups = document["groups"]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise GraftworkError(
            f"{folder}: not a whole checkpoint; delete it to go on from an earlier one"
        ) from error
    try:
        adapters.load_state_dict(weights)
        optimizer.load_state_dict({"state": _by_parameter(moments), "param_groups": groups})
    except (GraftworkError, ValueError, KeyError, TypeError) as error:
        raise GraftworkError(f"{folder}: of another adapter: {error}") from error
    for name, loss in (losses or {}).items():
        own = {key: value for key, value in learned.items() if key.startswith(f"{name}/")}
        loss.load_state({key.removeprefix(f"{name}/"): value for key, value in own.items()})
    return progress


def latest(folder: Path) -> Path | None:
    """The newest checkpoint in a folder of checkpoints."""
    found = all_checkpoints(folder)
    return found[-1] if found else None


def all_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    found = [path for path in folder.glob("step-*") if _FOLDER.fullmatch(path.name)]
    return sorted(found, key=_step)


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` checkpoints."""
    for path in all_checkpoints(folder)[:-keep]:
        shutil.rmtree(path)


def keep_only(folder: Path, checkpoint: Path | None, step: int) -> None:
    """Make `checkpoint`, of that step, the newest one in a folder of checkpoints.

    It may lie elsewhere: Ray hands out copies, and those of other runs. Without one, none is kept.
    """
    for path in all_checkpoints(folder):
        if checkpoint is None or (path != checkpoint and _step(path) >= step):
            shutil.rmtree(path)
    if checkpoint is not None and checkpoint.parent != folder:
        with atomic.folder(folder / f"step-{step:06d}") as target:
            shutil.copytree(checkpoint, target, dirs_exist_ok=True)


def _by_parameter(moments: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in moments.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    return state


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _plain(group: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if not isinstance(value, Tensor)}
