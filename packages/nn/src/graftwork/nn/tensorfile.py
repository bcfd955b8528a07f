"""Safetensors files of other tools: read with care, written whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from graftwork.core import atomic
from graftwork.core.errors import GraftworkError


def keys(path: Path) -> list[str]:
    """The names in a file; none if it is no safetensors file."""
    if path.suffix != ".safetensors" or not path.is_file():
        return []
    try:
        with safe_open(path, "pt") as file:
            return list(file.keys())
    except (OSError, SafetensorError):
        return []


def read(path: Path, what: str = "adapter") -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, and its metadata. An error asks to copy `what` again.

    Raises:
        GraftworkError: it is missing or cut short, or a number in it is not finite.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except (OSError, SafetensorError, ValueError) as error:
        raise GraftworkError(
            f"{path}: missing, cut short or altered; copy the {what} again"
        ) from error
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise GraftworkError(f"{path}: '{key}' holds NaN or infinity; use another checkpoint")
    return tensors, metadata


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file, its folder too."""
    ready = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    atomic.write_bytes(path, save(ready, metadata=dict(metadata)))
