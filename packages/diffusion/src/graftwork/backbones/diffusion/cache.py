"""Encoded data sets on disk, so that a second run need not encode them again."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from graftwork.backbones.diffusion.examples import Examples
from graftwork.core import atomic


def key_of(*identity: object) -> str:
    """A file name for everything that the encoded data depends on."""
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:24]


def cached(folder: str | None, key: str, encode: Callable[[], Examples]) -> Examples:
    """What `encode` gives, kept in `folder` under `key`. A damaged file is written anew."""
    if folder is None:
        return encode()
    path = Path(folder).expanduser() / f"{key}.safetensors"
    found = _read(path)
    if found is None:
        found = encode()
        tensors = {name: tensor.contiguous() for name, tensor in found.tensors().items()}
        atomic.write_bytes(path, save(tensors))
    return found


def _read(path: Path) -> Examples | None:
    try:
        return Examples.from_tensors(load_file(path))
    except (OSError, SafetensorError, TypeError):
        return None
