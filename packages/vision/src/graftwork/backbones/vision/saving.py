"""A model of timm on disk, as timm and `loading` read it."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from timm.models import save_for_hf
from torch import nn

from graftwork.backbones.vision.module import Classifier, is_blank
from graftwork.core import atomic


def save(module: Classifier, folder: Path, *, shown: Mapping[str, Any]) -> None:
    """Write config.json and model.safetensors.

    Args:
        module: without grafts.
        folder: new.
        shown: timm's data configuration, which goes with the weights.
    """
    model = whole(module)
    with atomic.folder(folder) as target:
        save_for_hf(model, str(target), safe_serialization=True, data_config=dict(shown))


def whole(module: Classifier) -> nn.Module:
    """A copy of the body with the classifier in its place, unless that one is blank."""
    model = copy.deepcopy(module.body)
    if is_blank(module.classifier):
        return model
    classes = module.classifier.out_features
    model.reset_classifier(classes)  # type: ignore[operator]
    layer = model.get_classifier()  # type: ignore[operator]
    with torch.no_grad():
        layer.weight.copy_(module.classifier.weight)
        if layer.bias is not None:
            bias = module.classifier.bias
            layer.bias.zero_() if bias is None else layer.bias.copy_(bias)
    return model
