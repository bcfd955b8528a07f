"""A model in one safetensors file: its weights, and in the metadata its configuration."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import Tensor

from graftwork.backbones.rvideformer.config import RViDeformerConfig
from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.core.errors import GraftworkError
from graftwork.nn import tensorfile

_KEY = "rvideformer"


def save_model(model: RViDeformer, path: Path) -> None:
    """Write a model. Index tables and masks are made anew when it is loaded, so none are in it.

    Raises:
        GraftworkError: the model carries adapters, which have files of their own.
    """
    for name, module in model.named_modules():
        if hasattr(module, "grafts"):
            raise GraftworkError(
                f"{path}: '{name}' carries an adapter; save the adapter by itself, and the model "
                "without it or with it merged"
            )
    tensorfile.write(path, model.state_dict(), {_KEY: json.dumps(model.config.as_dict())})


def load_model(path: Path) -> RViDeformer:
    """The model of a file that `save_model` wrote, in evaluation mode and in the file's dtype.

    Raises:
        GraftworkError: the file is cut short, of another kind, or its weights and configuration
            do not fit each other.
    """
    tensors, metadata = tensorfile.read(path, what="model")
    model = RViDeformer(_config(path, metadata))
    _check(path, tensors, model.state_dict())
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def _config(path: Path, metadata: dict[str, str]) -> RViDeformerConfig:
    if _KEY not in metadata:
        raise GraftworkError(
            f"{path}: is no RViDeformer of ours; official weights go through `read_official`"
        )
    try:
        values: dict[str, Any] = json.loads(metadata[_KEY])
        known = {field.name for field in fields(RViDeformerConfig)}
        if set(values) - known:
            raise ValueError(f"unknown setting '{min(set(values) - known)}'")
        tuples: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return RViDeformerConfig(**tuples)
    except (ValueError, TypeError, GraftworkError) as error:
        raise GraftworkError(
            f"{path}: its configuration cannot be read ({error}); copy the file again"
        ) from error


def _check(path: Path, tensors: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    for name in sorted({*tensors, *own}):
        if name not in tensors or name not in own:
            verb = "is missing" if name in own else "has no place"
            raise GraftworkError(
                f"{path}: '{name}' {verb} in a model of its configuration; copy the file again"
            )
        if tensors[name].shape != own[name].shape:
            raise GraftworkError(
                f"{path}: '{name}' has shape {list(tensors[name].shape)} where its configuration "
                f"asks for {list(own[name].shape)}; copy the file again"
            )
