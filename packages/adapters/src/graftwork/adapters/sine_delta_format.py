"""The file of SineLoRA-Delta: codebooks, and codes packed to their bits."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from jaxtyping import Int, UInt8
from torch import Tensor, nn

from graftwork.adapters.codebook import Codebook
from graftwork.adapters.sine_delta import quantization
from graftwork.core.config import Ge, Le, Search, as_dict, config
from graftwork.core.errors import GraftworkError, GraftworkWarning
from graftwork.core.versions import environment
from graftwork.nn import Graft, fingerprint, graft, tensorfile
from graftwork.nn.exporting import Export

NAME = "sine-delta.safetensors"
_KEY = "graftwork.sine-delta"
_VERSION = 1
_LONGEST = 100_000_000  # of a header, by the format's definition


@config
class SineDeltaConfig:
    """Settings of the format."""

    bits: Annotated[int, Ge(1), Le(8), Search(2, 8)] = 4
    """Bits of a code: each factor of each site gets a codebook of 2^bits values."""


class SineDeltaFormat:
    """Sine-LoRA with its factors quantised by k-means (arXiv:2505.21895), in one file.

    The file holds, for each factor, float32 codebook values and codes of `bits` bits; its header
    the method's settings, the graft's weight and the backbone's fingerprint. What is read is, bit
    for bit, what `quantize` would have left in the graft. No other tool's names are used, so none
    takes it for a plain LoRA.
    """

    @staticmethod
    def detect(path: Path) -> bool:
        """Whether `path` is such a file, or a folder with one."""
        return bool(_header(_file(path)))

    def write(self, handle: Graft, path: Path, settings: SineDeltaConfig) -> Export:
        """Write a graft to a folder or a .safetensors file; tells the error of its change.

        Raises:
            GraftworkError: the graft is of another method than sine-lora.
        """
        if handle.method != "sine-lora":
            raise GraftworkError(
                f"format 'sine-delta': holds sine-lora, not {handle.method}; keep graftwork's own "
                "files (`save`), or choose another format"
            )
        measured = quantization(handle, settings.bits)
        tensors: dict[str, Tensor] = {}
        for name, book in measured.books.items():
            tensors[f"{name}.values"] = book.values
            tensors[f"{name}.codes"] = packed(book.codes, settings.bits)
        header = {
            "version": _VERSION,
            "bits": settings.bits,
            "settings": as_dict(handle.settings),
            "weight": handle.weight,
            "sites": list(handle.sites),
            "shapes": {name: list(book.codes.shape) for name, book in measured.books.items()},
            "backbone": fingerprint(handle.model),
            "versions": environment(),
        }
        file = _file(path)
        tensorfile.write(file, tensors, {_KEY: json.dumps(header)})
        return Export(path=file, error=measured.error)

    def read(
        self, model: nn.Module, path: Path, *, name: str = "default", weight: float | None = None
    ) -> Graft:
        """Graft a file onto `model`.

        Raises:
            GraftworkError: the file is damaged, of a later version, or made for another model.
        """
        file = _file(path)
        header = _header(file)
        if header.get("version") != _VERSION:
            raise GraftworkError(f"{file}: its version is not known; update graftwork-adapters")
        tensors = _factors(file, header)
        weight = header["weight"] if weight is None else weight
        options = {"sites": header["sites"], "name": name, "weight": weight}
        try:
            handle = graft(model, "sine-lora", header["settings"], **options)
        except GraftworkError as error:
            raise GraftworkError(f"{file}: {error}") from error
        try:
            handle.load_state_dict(tensors)
        except GraftworkError as error:
            handle.detach()
            raise GraftworkError(f"{file}: made for another model ({error})") from error
        _warn_of_another_backbone(model, file, header)
        return handle


def packed(codes: Int[Tensor, "*shape"], bits: int) -> UInt8[Tensor, "bytes"]:
    """Codes one after another, `bits` bits each, the lowest bit first."""
    flat = (codes.flatten()[:, None] >> torch.arange(bits)) & 1
    padded = nn.functional.pad(flat.flatten(), (0, -flat.numel() % 8)).view(-1, 8)
    return (padded << torch.arange(8)).sum(1).to(torch.uint8)


def unpacked(data: UInt8[Tensor, "bytes"], bits: int, shape: list[int]) -> Int[Tensor, "*shape"]:
    """`packed` undone."""
    count = torch.Size(shape).numel()
    flat = ((data.long()[:, None] >> torch.arange(8)) & 1).flatten()[: count * bits]
    return (flat.view(count, bits) << torch.arange(bits)).sum(1).view(shape)


def _file(path: Path) -> Path:
    return path if path.suffix == ".safetensors" else path / NAME


def _header(file: Path) -> dict[str, Any]:
    """Our part of the file's header, empty if it has none; a file of gigabytes is not read for it.

    A safetensors file begins with the length of its header in eight bytes, and the header in JSON.
    """
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            whole = json.loads(opened.read(min(length, _LONGEST)))
        found: dict[str, Any] = json.loads(whole["__metadata__"][_KEY])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found


def _factors(file: Path, header: Mapping[str, Any]) -> dict[str, Tensor]:
    tensors, _ = tensorfile.read(file)
    found = {}
    for name, shape in header["shapes"].items():
        try:
            codes = unpacked(tensors.pop(f"{name}.codes"), header["bits"], shape)
            found[name] = Codebook(values=tensors.pop(f"{name}.values"), codes=codes).tensor()
        except (KeyError, IndexError, RuntimeError) as error:
            raise GraftworkError(f"{file}: '{name}' is missing or cut; export it again") from error
    if tensors:
        raise GraftworkError(f"{file}: '{min(tensors)}' belongs to no factor; export it again")
    return found


def _warn_of_another_backbone(model: nn.Module, file: Path, header: Mapping[str, Any]) -> None:
    if header["backbone"] != fingerprint(model):
        warnings.warn(
            f"{file}: trained on other weights of this architecture; check its results",
            GraftworkWarning,
            stacklevel=3,
        )
