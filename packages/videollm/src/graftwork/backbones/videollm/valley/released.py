"""The names and the configuration of the released Valley, and ours for the same.

Known by the specification of the method are the flags `use_patch_importance_pooling` and
`use_delta_transformer`, that T-v2 is one linear layer over all patches, that T-v3 is torch's own
encoder layer, that its template is registered beside it, and that the sinusoid is fixed. Of the
public release are the names `pooling_layer`, `transformer_delta_encoder` and (so spelt)
`transforemr_adding_layer`. Assumed, from LLaVA's first version, which the release is built on, are
`mm_projector`, `vision_tower`, `mm_hidden_size`, `mm_vision_select_layer` and that all of these lie
in the decoder's `model`. Where files have other names, `renames` tells them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, PreTrainedConfig

from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.backbones.videollm.valley.temporal import sinusoid
from graftwork.backbones.videollm.valley.tower import unused_keys
from graftwork.core.errors import GraftworkError

_ENCODER = r"^model\.transformer_delta_encoder\.layers\.0\."

# Theirs and ours; the first that fits counts.
_NAMES = (
    (r"^model\.mm_projector\.", "model.projector."),
    (r"^model\.pooling_layer\.", "model.temporal.score."),
    (_ENCODER + r"self_attn\.out_proj\.", "model.temporal.output."),
    (_ENCODER, "model.temporal."),
    (r"^model\.vision_tower\.(vision_model\.)?", "model.vision_tower."),
    (r"^(model\.(embed_tokens|layers|norm)\.)", r"model.decoder.\1"),
    (r"^lm_head\.", "model.decoder.lm_head."),
)

# The encoder's template, which nothing reads, and buffers that are made anew.
_DROPPED = re.compile(
    r"^model\.transforemr_adding_layer\.|rotary_emb\.inv_freq$|embeddings\.position_ids$"
)

_PACKED = re.compile(_ENCODER + r"self_attn\.in_proj_(weight|bias)$")


def our_names(
    state: Mapping[str, Tensor], config: ValleyConfig, *, renames: Mapping[str, str], place: str
) -> dict[str, Tensor]:
    """A released state dict under our names, without what our model has no need of.

    Raises:
        GraftworkError: a key is unknown, or two become one.
    """
    unused = re.compile("|".join(unused_keys(config)) or "$^")
    ours: dict[str, Tensor] = {}
    for theirs, tensor in _renamed(state, renames):
        if _DROPPED.search(theirs) or unused.search(theirs) or _is_sinusoid(theirs, tensor):
            continue
        for name, part in _parts(theirs, tensor):
            if name is None:
                raise GraftworkError(
                    f"{place}: '{theirs}' is no name of the released model; give `renames`"
                )
            if name in ours:
                raise GraftworkError(f"{place}: two keys become '{name}'; make `renames` narrower")
            ours[name] = part
    return ours


def our_config(
    released: Mapping[str, Any],
    *,
    video_token_id: int,
    vision_config: PreTrainedConfig | dict[str, Any] | None = None,
) -> ValleyConfig:
    """Our configuration for a released `config.json`.

    Args:
        released: Its contents.
        video_token_id: The id that the released tokenizer gives `<im_patch>`.
        vision_config: Of the tower that it was trained with; by default CLIP ViT-L/14 at 224.

    Raises:
        GraftworkError: it asks for something that this model has not.
    """
    temporal = "importance" if released.get("use_patch_importance_pooling") else "mean"
    if released.get("use_delta_transformer"):
        temporal = "delta"
    known = {*LlamaConfig.__dataclass_fields__, "rope_theta", "rope_scaling", "torch_dtype"}
    skipped = {"architectures", "transformers_version"}
    text = {key: value for key, value in released.items() if key in known - skipped}
    config = ValleyConfig(
        text_config=LlamaConfig(**text),
        vision_config=vision_config,
        temporal=temporal,
        vision_feature_layer=released.get("mm_vision_select_layer", -2),
        template="valley",  # whatever template a tokenizer of today brings along
        video_token_id=video_token_id,
    )
    wide = config.vision_config.hidden_size  # type: ignore[union-attr]
    if released.get("mm_hidden_size", wide) != wide:
        raise GraftworkError(
            f"config.json: mm_hidden_size = {released['mm_hidden_size']} where the tower is {wide} "
            "wide; give the `vision_config` of the tower it was trained with"
        )
    return config


def _renamed(
    state: Mapping[str, Tensor], renames: Mapping[str, str]
) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in state.items():
        new = name.removeprefix("module.")  # as wrappers for several devices save
        for pattern, put in renames.items():
            new = re.sub(pattern, put, new)
        # Files of the first stage may hold the projector without its model's prefix.
        yield (f"model.{new}" if new.startswith("mm_projector.") else new), tensor


def _parts(theirs: str, tensor: Tensor) -> Iterator[tuple[str | None, Tensor]]:
    """Our names for one of theirs; torch packs query, key and value, which we keep in two."""
    if match := _PACKED.search(theirs):
        width = tensor.shape[0] // 3
        yield f"model.temporal.query.{match[1]}", tensor[:width]
        yield f"model.temporal.key_value.{match[1]}", tensor[width:]
        return
    for pattern, put in _NAMES:
        if re.search(pattern, theirs):
            yield re.sub(pattern, put, theirs, count=1), tensor
            return
    yield None, tensor


def _is_sinusoid(theirs: str, tensor: Tensor) -> bool:
    """Whether an unknown tensor is the table of positions, which we make anew."""
    if tensor.dim() < 2 or any(re.search(pattern, theirs) for pattern, _ in _NAMES):
        return False
    table = tensor.flatten(0, -2).float()
    own = sinusoid(*table.shape, dtype=torch.float32, device=table.device)
    return torch.allclose(table, own, atol=1e-2)  # a half of float16 near 1, with room
