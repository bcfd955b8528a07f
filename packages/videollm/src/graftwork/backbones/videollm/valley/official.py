"""Released Valley weights in our model: full ones, deltas to a LLaMA, and first-stage projectors.

    config = our_config(read_config(folder), video_token_id=VisualTokens.of(tokenizer).patch)
    model = ValleyForConditionalGeneration(config)
    load_official(model, apply_delta(read_weights(folder), read_weights(llama)))

Names are in `released`. Released prompts have two placeholders; ours have one, and
`VisualTokens.one_placeholder` turns the one into the other. Where files do not hold the tower,
which the release loads from CLIP, the model keeps the one it has: see `load_tower`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedModel

from graftwork.backbones.videollm.valley.generation import ValleyForConditionalGeneration
from graftwork.backbones.videollm.valley.released import our_names
from graftwork.backbones.videollm.valley.tower import fill_tower
from graftwork.core.errors import GraftworkError

_TOWER = "model.vision_tower."
_EMBEDDINGS = "model.decoder.model.embed_tokens.weight"
_ADDED_TOKENS = 6


def load_official(
    model: ValleyForConditionalGeneration,
    state: Mapping[str, Tensor],
    *,
    renames: Mapping[str, str] | None = None,
    place: str = "weights",
) -> None:
    """Fill a model with a full released state dict.

    Args:
        model: Of the configuration that `our_config` gives.
        state: What `read_weights` or `apply_delta` gives.
        renames: Regular expressions and what to put in their place, applied to each key in order;
            for files whose names are not those in `released`.
        place: What errors name, usually the file.

    Raises:
        GraftworkError: a key is missing, unknown, or of another shape than the model's.
    """
    ours = our_names(state, model.config, renames=renames or {}, place=place)
    own = model.state_dict()
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    for name in own:
        optional = name.startswith(_TOWER) and not any(key.startswith(_TOWER) for key in ours)
        if name not in ours and not optional and not (tied and name.endswith("lm_head.weight")):
            raise GraftworkError(f"{place}: '{name}' is missing; is this the whole model?")
    _load(model, ours, place)


def load_projector(
    model: ValleyForConditionalGeneration,
    state: Mapping[str, Tensor],
    *,
    renames: Mapping[str, str] | None = None,
    place: str = "projector",
) -> None:
    """Put what a first-stage file holds into a model: the projector, and what was saved with it.

    That may be the temporal module, and the embeddings: all of them, as the release trains all, or
    the rows of the six tokens, which are the last ones of the vocabulary.

    Raises:
        GraftworkError: it holds no projector, or a key that is unknown or of another shape.
    """
    ours = our_names(state, model.config, renames=renames or {}, place=place)
    if not {"model.projector.weight", "model.projector.bias"} <= ours.keys():
        raise GraftworkError(f"{place}: holds no projector; give a first-stage file, or `renames`")
    rows = ours.get(_EMBEDDINGS)
    if rows is not None and len(rows) == _ADDED_TOKENS:
        kept = model.get_input_embeddings().weight.detach()[:-_ADDED_TOKENS]
        ours[_EMBEDDINGS] = torch.cat([kept, rows.to(kept)])
    _load(model, ours, place)


def load_tower(model: ValleyForConditionalGeneration, tower: PreTrainedModel) -> None:
    """Put the weights of a whole vision tower into a model, as far as it has blocks for them.

    Raises:
        GraftworkError: it is another kind of tower, or one of other sizes.
    """
    fill_tower(model.model.vision_tower, tower)


def apply_delta(
    delta: Mapping[str, Tensor], base: Mapping[str, Tensor], *, place: str = "delta"
) -> dict[str, Tensor]:
    """Full weights from released differences and the LLaMA they are to: W = W_base + delta.

    Embeddings of added tokens, and layers that a LLaMA has not, are in the delta as they are.

    Raises:
        GraftworkError: the base has a key that the delta lacks, or of another shape.
    """
    for name in base:
        if name not in delta and not name.endswith("rotary_emb.inv_freq"):
            raise GraftworkError(
                f"{place}: '{name}' of the base is missing; is this a delta to it?"
            )
    return {name: _sum(name, tensor, base.get(name), place) for name, tensor in delta.items()}


def _sum(name: str, delta: Tensor, base: Tensor | None, place: str) -> Tensor:
    if base is None or name.endswith("rotary_emb.inv_freq"):
        return delta
    if delta.shape[1:] != base.shape[1:] or len(delta) < len(base):
        raise GraftworkError(
            f"{place}: '{name}' is {list(delta.shape)} where the base has {list(base.shape)}; use "
            "the base it was made from"
        )
    full = delta.clone()
    full[: len(base)] += base.to(delta)
    return full


def _load(model: ValleyForConditionalGeneration, ours: Mapping[str, Tensor], place: str) -> None:
    own = model.state_dict()
    for name, tensor in ours.items():
        if name not in own:
            raise GraftworkError(
                f"{place}: '{name}' has no place in this model; build it with `our_config`"
            )
        if tensor.shape != own[name].shape:
            raise GraftworkError(
                f"{place}: '{name}' is {list(tensor.shape)} where the model has "
                f"{list(own[name].shape)}; build it with `our_config`"
            )
    model.load_state_dict(ours, strict=False)
