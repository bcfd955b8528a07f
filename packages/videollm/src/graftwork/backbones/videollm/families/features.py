"""What a model makes of a clip before it reads: rows in the place of tokens.

A model's own `get_video_features` (or, where frames are images, `get_image_features`) makes them,
tower and projector together, and its `forward` and `generate` take them back as
`mm_encoder_outputs`.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from graftwork.backbones.videollm.families.loading import modality
from graftwork.backbones.videollm.seen import Seen

PLACES = ("video_grid_thw", "second_per_grid_ts")
"""What positions are computed from: patches in time, height and width, and seconds a patch."""


@dataclass
class VisualRows(ModelOutput):
    """The rows of several clips, in the form that a family's own features have."""

    pooler_output: Any = None
    """(1, rows, features), or a list with a (rows, features) for each clip."""
    deepstack_features: Any = None
    """Of Qwen3-VL: what is added after the first layers, a list of such lists by layer."""


def features(model: PreTrainedModel, processed: Mapping[str, Tensor]) -> Seen:
    """The rows of one clip, (rows, features), or (1, rows, features) where clips come stacked."""
    encode = getattr(model.base_model, f"get_{modality(model)}_features")
    taken = inspect.signature(encode).parameters
    given = {name: value for name, value in processed.items() if name in taken}
    made = encode(**given, return_dict=True)
    rows = made.pooler_output
    if isinstance(rows, Tensor):
        return {"rows": rows.flatten(0, 1)[None]}
    deep = getattr(made, "deepstack_features", None)
    if deep is None:
        return {"rows": torch.cat(list(rows))}
    return {"rows": torch.cat(list(rows)), "deepstack": torch.stack([torch.cat(d) for d in deep])}


def encoder_outputs(clips: Sequence[Seen], *, like: Tensor) -> VisualRows:
    """The rows of several clips in their order, on the device and in the dtype of `like`."""
    rows = [clip["rows"].to(like.device, like.dtype) for clip in clips]
    if rows[0].ndim == 3:
        return VisualRows(pooler_output=torch.cat(rows, dim=1))
    if "deepstack" not in clips[0]:
        return VisualRows(pooler_output=rows)
    deep = [clip["deepstack"].to(like.device, like.dtype) for clip in clips]
    return VisualRows(
        pooler_output=rows, deepstack_features=[list(d) for d in zip(*deep, strict=True)]
    )


def places(clips: Sequence[Seen], *, device: torch.device) -> dict[str, Tensor]:
    """What a model computes the positions of these clips from; nothing for most families."""
    found = [name for name in PLACES if clips and name in clips[0]]
    return {name: torch.cat([clip[name] for clip in clips]).to(device) for name in found}
