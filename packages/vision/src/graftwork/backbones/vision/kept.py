"""Features of frozen models on disk, shared by runs and searches."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from graftwork.core import atomic
from graftwork.nn import fingerprint

Tensors = Mapping[str, Tensor]


def kept(folder: Path | None, name: str, make: Callable[[], Tensors]) -> Tensors:
    """The tensors of that name in a folder, or else what `make` gives, which lies there then."""
    if folder is None:
        return make()
    path = folder / name[:2] / f"{name}.safetensors"
    try:
        found: Tensors = load_file(path)
    except (FileNotFoundError, SafetensorError):  # none yet, or cut short by a full disk
        found = make()
        atomic.write_bytes(path, save({key: value.contiguous() for key, value in found.items()}))
    return found


def identity(module: nn.Module) -> str:
    """Hash of a frozen model: its parameters, the running statistics of its norms, its dtype."""
    digest = hashlib.sha256(fingerprint(module).encode())
    for name, buffer in module.named_buffers():
        if ".grafts." not in f".{name}":  # of an adapter
            values = buffer.detach().to("cpu", torch.float64)
            digest.update(name.encode() + values.numpy().tobytes())
    digest.update(str(next(module.parameters()).dtype).encode())
    return digest.hexdigest()
