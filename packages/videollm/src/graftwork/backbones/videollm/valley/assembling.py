"""A Valley from a tower and a decoder that were trained apart, as the first stage starts."""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.backbones.videollm.valley.generation import ValleyForConditionalGeneration
from graftwork.backbones.videollm.valley.tower import build_tower, fill_tower


def assemble(
    vision_tower: PreTrainedModel, language_model: PreTrainedModel, **settings: Any
) -> ValleyForConditionalGeneration:
    """A Valley whose projector and temporal module are fresh, in the decoder's dtype and device.

    Args:
        vision_tower: A vision model, whole; the blocks that are used are copied from it.
        language_model: A causal language model. It is not copied: it becomes part of the result.
        settings: Of `ValleyConfig`, such as `temporal`.

    Raises:
        GraftworkError: a setting is out of range, or does not fit the parts; or the tower is not
            what `AutoModel` makes of its configuration.
    """
    config = ValleyConfig(
        vision_config=vision_tower.config.to_dict(), text_config=language_model.config, **settings
    )
    with torch.device("meta"):  # weights that come from the parts are not made
        model = ValleyForConditionalGeneration(config)
    tower = build_tower(config)
    fill_tower(tower, vision_tower)
    inner = model.model
    inner.vision_tower = tower
    inner.decoder = language_model
    for part in (inner.projector, inner.temporal):
        part.to_empty(device="cpu")
        for layer in part.modules():
            if isinstance(layer, (nn.Linear, nn.LayerNorm)):
                layer.reset_parameters()
    like = language_model.get_input_embeddings().weight
    for part in (inner.vision_tower, inner.projector, inner.temporal):
        part.to(device=like.device, dtype=like.dtype)
    return model.freeze_tower().train(language_model.training)
