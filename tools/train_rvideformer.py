"""Train all weights of an RViDeformer as a TOML file says; `tiny-rvideformer` is made so.

    python tools/train_rvideformer.py examples/pretraining/tiny-rvideformer.toml --out build/tiny

Interrupted, it goes on from its last save when the same command is given again. The folder --out
then holds `model.safetensors`, merged, and `log.jsonl`.
"""

import argparse
import json
import time
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from safetensors.torch import load_file, save_file

from graftwork.backbones.rvideformer.backbone import RViDeformerBackbone
from graftwork.backbones.rvideformer.config import VARIANTS, RViDeformerConfig
from graftwork.backbones.rvideformer.files import save_model
from graftwork.backbones.rvideformer.merging import merge
from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.backbones.rvideformer.sensing import Sensing, sensing
from graftwork.backbones.rvideformer.settings import RViDeformerSettings
from graftwork.core import atomic, registry
from graftwork.core.config import Ge, Gt, config, parse
from graftwork.nn.loss import Loss
from graftwork.raw.videos import RawVideos


@config
class Training:
    """The table [train]."""

    steps: Annotated[int, Ge(1)]
    """Optimiser steps."""

    lr: Annotated[float, Gt(0)]
    """Peak learning rate of Adam."""

    batch: Annotated[int, Ge(1)] = 1
    """Clips in each step."""

    schedule: Literal["steps", "one-cycle"] = "steps"
    """Whether the rate falls at `drops`, or rises once and falls to nothing."""

    drops: tuple[tuple[int, float], ...] = ()
    """``steps``: pairs of a step and what the rate is multiplied with from there on."""

    seed: int = 0
    """Of the first weights and of every draw."""

    save_every: Annotated[int, Ge(1)] = 200
    """Steps between saves."""


class Trainable(RViDeformerBackbone):
    """A backbone whose network, all of it, is to be trained."""

    def __init__(self, settings: RViDeformerSettings, network: RViDeformer) -> None:
        self.given = network
        super().__init__(settings)
        network.requires_grad_(True).train()

    def _load(self, settings: Any) -> tuple[RViDeformer, Sensing]:
        return self.given, sensing(settings)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    table = tomllib.loads(arguments.file.read_text())
    training: Training = parse(Training, table["train"], "train")
    torch.manual_seed(training.seed)
    network = RViDeformer(model_config(table["model"]))
    settings = parse(RViDeformerSettings, table.get("backbone", {}), "backbone")
    backbone = Trainable(settings, network)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone.to(device, torch.float32)
    data: RawVideos = build("datasets", table["data"])
    losses = [(entry.pop("weight", 1.0), build("losses", entry)) for entry in table["loss"]]
    train(backbone, data, losses, training, arguments.out)
    save_model(merge(network).cpu(), arguments.out / "model.safetensors")
    print(f"wrote {arguments.out / 'model.safetensors'}")
    return 0


def model_config(table: dict[str, Any]) -> RViDeformerConfig:
    """A published variant by name, or sizes of one's own."""
    if "variant" in table:
        return VARIANTS[table["variant"]]
    return RViDeformerConfig(
        **{key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    )


def build(kind: str, table: dict[str, Any]) -> Any:
    """The plugin that a table names, with the rest of the table as its settings."""
    record = registry.find(kind, table.pop("kind"))
    return record.load()(parse(record.settings_class(), table, record.name))


def train(
    backbone: Trainable,
    data: RawVideos,
    losses: list[tuple[float, Loss]],
    training: Training,
    out: Path,
) -> None:
    """All steps that are not done yet."""
    network = backbone.module.network
    examples = backbone.prepare(data)
    optimizer = torch.optim.Adam(network.parameters(), lr=training.lr)
    needs = frozenset[str]().union(*(loss.needs for _, loss in losses))
    first, seconds = load(out, network, optimizer)
    started = time.monotonic() - seconds
    for step in range(first, training.steps):
        torch.manual_seed(training.seed * 1_000_003 + step)  # of DropPath
        generator = torch.Generator().manual_seed(training.seed * 1_000_003 + step)
        rate = training.lr * share(step, training)
        for group in optimizer.param_groups:
            group["lr"] = rate
        indices = torch.randint(len(data), (training.batch,), generator=generator).tolist()
        made = backbone.step(examples, indices, needs=needs, generator=generator)
        total = torch.zeros(())
        for weight, loss in losses:
            loss.progress = step / training.steps
            total = total + weight * loss(made)
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        spent = time.monotonic() - started
        log(out, {"step": step + 1, "loss": float(total.detach()), "lr": rate, "seconds": spent})
        if (step + 1) % training.save_every == 0 or step + 1 == training.steps:
            save(out, network, optimizer, step + 1, spent)


def share(step: int, training: Training) -> float:
    """The part of the peak rate at a step."""
    if training.schedule == "steps":
        fallen = 1.0
        for at, factor in training.drops:
            fallen *= factor if step >= at else 1.0
        return fallen
    rise = 0.1 * training.steps
    if step < rise:
        return (step + 1) / rise
    return max(0.0, (training.steps - step) / (training.steps - rise))


def log(out: Path, record: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (out / "log.jsonl").open("a") as stream:
        stream.write(json.dumps(record) + "\n")
    if record["step"] % 50 == 0:
        print(" ".join(f"{key} {value:.5g}" for key, value in record.items()), flush=True)


def save(
    out: Path, network: RViDeformer, optimizer: torch.optim.Adam, step: int, seconds: float
) -> None:
    """Weights and moments at a step."""
    moments = {
        f"{index}.{name}": value.contiguous()
        for index, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }
    with atomic.folder(out / "last", replace=True) as target:
        save_file(
            {k: v.contiguous() for k, v in network.state_dict().items()}, target / "w.safetensors"
        )
        save_file(moments, target / "moments.safetensors")
        (target / "state.json").write_text(json.dumps({"step": step, "seconds": seconds}))


def load(out: Path, network: RViDeformer, optimizer: torch.optim.Adam) -> tuple[int, float]:
    """Go on from the last save; the step and the seconds spent until there."""
    last = out / "last"
    if not last.is_dir():
        return 0, 0.0
    network.load_state_dict(load_file(last / "w.safetensors"))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(last / "moments.safetensors").items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
    document = json.loads((last / "state.json").read_text())
    return int(document["step"]), float(document["seconds"])


if __name__ == "__main__":
    raise SystemExit(main())
