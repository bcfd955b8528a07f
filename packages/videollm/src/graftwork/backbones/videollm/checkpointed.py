"""Gradient checkpointing of a frozen model."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer


@contextmanager
def checkpointed(model: PreTrainedModel, *, enabled: bool) -> Iterator[None]:
    """Compute the model's layers again for the backward pass, inside the context.

    transformers does so in training alone, where its layers would also drop out; here only the
    layers themselves are told that they train, and nothing inside them.
    """
    layers = [part for part in model.modules() if isinstance(part, GradientCheckpointingLayer)]
    if not enabled or not torch.is_grad_enabled():
        yield
        return
    model.activation_checkpointing_enable({"use_reentrant": False})
    before = [layer.training for layer in layers]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer, training in zip(layers, before, strict=True):
            layer.training = training
        model.activation_checkpointing_disable()
