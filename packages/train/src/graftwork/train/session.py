"""What a run is made of, built from its file: backbone, data, adapter and judges."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from graftwork.core.config import as_dict, parse
from graftwork.core.errors import GraftworkError, GraftworkWarning
from graftwork.nn import Graft, graft, load_graft, words
from graftwork.nn.backbone import Backbone
from graftwork.nn.dataset import Dataset
from graftwork.nn.metric import Metric
from graftwork.train.evaluation import ImageEvaluation
from graftwork.train.runfile import RunFile
from graftwork.train.seeds import derive

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(kw_only=True)
class Session:
    """A backbone with its data and its adapter, ready to be trained or judged."""

    file: RunFile
    accelerator: Accelerator
    backbone: Backbone
    data: Dataset
    handle: Graft
    evaluation: ImageEvaluation
    metrics: Mapping[str, Metric]

    def evaluate(self) -> dict[str, float]:
        """Every metric of the adapter as it is now."""
        self.handle.train(False)
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
        adapter: folder of a trained adapter to load in place of a fresh one.
        cache: folder for the frozen backbone's pictures, shared by runs; none by default.
        backbone: one built before from the same settings, to spare building it again.

    Raises:
        GraftworkError: bad data, a pattern without a match, an adapter that does not fit, ...
    """
    if file.train.threads:
        torch.set_num_threads(file.train.threads)
    data: Dataset = file.data.build()
    data.check()
    _tell_skipped(data)
    backbone = backbone or file.backbone.build()
    assert backbone is not None
    handle = _load(backbone, adapter) if adapter else _graft(backbone, file, data)
    accelerator = _accelerator(file)
    backbone.to(accelerator.device, _DTYPES[file.train.precision])
    return Session(
        file=file,
        accelerator=accelerator,
        backbone=backbone,
        data=data,
        handle=handle,
        evaluation=ImageEvaluation(backbone, data, file.evaluate, cache=cache),
        metrics={metric.kind: metric.build() for metric in file.metric},
    )


def _graft(backbone: Backbone, file: RunFile, data: Dataset) -> Graft:
    learns_words = file.adapter.record.family == "token"  # type: ignore[attr-defined]
    usual = backbone.token_sites() if learns_words else backbone.default_sites()
    try:
        handle = graft(
            backbone.module,
            file.adapter.kind,
            _named(file.adapter.settings, data),
            sites=file.adapter.own.get("sites") or usual,
            seed=derive(file.seed, "adapter"),
        )
        words.require_words(handle, data.captions())
        return handle
    except GraftworkError as error:
        place = str(error).removeprefix("adapter.")
        raise GraftworkError(f"{file.name}: adapter.{place}") from error


def _named(settings: Any, data: Dataset) -> Any:
    """The adapter's settings, where they leave it open with the trigger as placeholder."""
    if getattr(settings, "placeholder", None) != "" or data.trigger is None:
        return settings
    return parse(type(settings), {**as_dict(settings), "placeholder": data.trigger}, "adapter")


def _tell_skipped(data: Dataset) -> None:
    if data.skipped:
        count, first = len(data.skipped), data.skipped[0].name
        warnings.warn(
            f"data: passed over {count} files that are no images ('{first}' first)",
            GraftworkWarning,
            stacklevel=3,
        )


def _load(backbone: Backbone, adapter: Path) -> Graft:
    return load_graft(backbone.module, adapter)


def _accelerator(file: RunFile) -> Accelerator:
    precision = {"fp32": "no"}.get(file.train.precision, file.train.precision)
    try:
        return Accelerator(mixed_precision=precision)
    except ValueError as error:
        raise GraftworkError(
            f"{file.name}: train.precision: {file.train.precision} does not work on this device "
            f"({error}); use 'fp32' or 'bf16'"
        ) from error
