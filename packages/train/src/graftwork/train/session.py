"""What a run is made of, built from its file: backbone, data, adapters and judges."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from graftwork.core.config import as_dict, parse
from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, graft, words
from graftwork.nn.backbone import Backbone
from graftwork.nn.dataset import Dataset, tell_skipped
from graftwork.nn.grafting import check_name
from graftwork.nn.metric import Metric
from graftwork.nn.task import Evaluation, Task
from graftwork.train.adapter_tables import is_list
from graftwork.train.adapters import Adapters
from graftwork.train.chosen import Chosen
from graftwork.train.runfile import RunFile
from graftwork.train.seeds import derive

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(kw_only=True)
class Session:
    """A backbone with its data and its adapters, ready to be trained or judged."""

    file: RunFile
    accelerator: Accelerator
    backbone: Backbone
    data: Dataset
    adapters: Adapters
    evaluation: Evaluation
    metrics: Mapping[str, Metric]

    def evaluate(self) -> dict[str, float]:
        """Every metric of the adapters as they are now."""
        self.adapters.train(False)
        self.evaluation.forget()
        values: dict[str, float] = {}
        for metric in self.metrics.values():
            values |= metric(self.evaluation)
        return values


def open_session(
    file: RunFile,
    *,
    adapter: Path | None = None,
    cache: Path | None = None,
    backbone: Backbone | None = None,
) -> Session:
    """Build everything that a run file names, and check that it fits together.

    Args:
        file: the run.
        adapter: folder of the trained adapters to load in place of fresh ones.
        cache: folder for what the frozen backbone makes, shared by runs; none by default.
        backbone: one built before from the same settings, to spare building it again.

    Raises:
        GraftworkError: bad data, a pattern without a match, an adapter that does not fit, ...
    """
    if file.train.threads:
        torch.set_num_threads(file.train.threads)
    data: Dataset = file.data.build()
    data.check()
    tell_skipped(data.skipped)
    backbone = backbone or file.backbone.build()
    assert backbone is not None
    backbone.meet(data)
    names = tuple(file.adapters)
    adapters = (
        Adapters.load(backbone.module, adapter, names) if adapter else _fresh(backbone, file, data)
    )
    accelerator = _accelerator(file)
    backbone.to(accelerator.device, _DTYPES[file.train.precision])
    task: Task = file.task.load()()
    return Session(
        file=file,
        accelerator=accelerator,
        backbone=backbone,
        data=data,
        adapters=adapters,
        evaluation=task.evaluation(backbone, data, file.evaluate, cache=cache),
        metrics={metric.kind: metric.build() for metric in file.metric},
    )


def _fresh(backbone: Backbone, file: RunFile, data: Dataset) -> Adapters:
    for name in file.adapters:
        _check_name(backbone, file, name)
    return Adapters(
        {name: _graft(backbone, file, data, name, one) for name, one in file.adapters.items()}
    )


def _check_name(backbone: Backbone, file: RunFile, name: str) -> None:
    try:
        check_name(backbone.module, name)
    except GraftworkError as error:
        raise GraftworkError(f"{file.name}: adapter.name: {error}") from error


def _graft(backbone: Backbone, file: RunFile, data: Dataset, name: str, chosen: Chosen) -> Graft:
    usual = _usual_sites(backbone, chosen.record.family)  # type: ignore[attr-defined]
    listed = is_list(file.adapter)
    try:
        handle = graft(
            backbone.module,
            chosen.kind,
            _named(chosen.settings, data),
            sites=chosen.own.get("sites") or usual,
            name=name,
            # Each of several its own, so that two of one method do not start as the same.
            seed=derive(file.seed, "adapter", *([name] if listed else [])),
        )
        words.require_words(handle, data.captions())
        _take_branch(handle, chosen, backbone, file)
        return handle
    except GraftworkError as error:
        place = f"adapter.{name}" if listed else "adapter"
        raise GraftworkError(
            f"{file.name}: {place}.{str(error).removeprefix('adapter.')}"
        ) from error


def _usual_sites(backbone: Backbone, family: str) -> tuple[str, ...]:
    if family == "token":
        return backbone.token_sites()
    return backbone.head_sites() if family == "head" else backbone.default_sites()


def _take_branch(handle: Graft, chosen: Chosen, backbone: Backbone, file: RunFile) -> None:
    handle.branch = chosen.own.get("branch", "both")
    if handle.branch != "both" and not backbone.branches:
        raise GraftworkError(
            f"branch: the backbone '{file.backbone.kind}' does not run the two branches of "
            "guidance apart; leave it out, or choose a backbone such as stable-diffusion"
        )


def _named(settings: Any, data: Dataset) -> Any:
    """The adapter's settings, where they leave it open with the trigger as placeholder."""
    if getattr(settings, "placeholder", None) != "" or data.trigger is None:
        return settings
    return parse(type(settings), {**as_dict(settings), "placeholder": data.trigger}, "adapter")


def _accelerator(file: RunFile) -> Accelerator:
    if file.train.precision == "fp32":
        return Accelerator(mixed_precision="no")
    try:
        return Accelerator(mixed_precision=file.train.precision)
    except ValueError as error:
        raise GraftworkError(
            f"{file.name}: train.precision: {file.train.precision} does not work on this device "
            f"({error}); use 'fp32' or 'bf16'"
        ) from error
