"""The format of LyCORIS: kohya's layout with more methods, and with other names if wanted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.formats import difference, hadamard, kronecker, rotation, single_file
from graftwork.formats.layers import Leaves, refuse_site
from graftwork.formats.names import WRAPPER, kohya_name, wrapper_name
from graftwork.nn import Graft
from graftwork.nn.converting import ConvertConfig
from graftwork.nn.exporting import Export
from graftwork.nn.factors import METHODS

_OWN = ("loha", "lokr", "oft", "full")
_MARKS = hadamard.LEAVES | kronecker.LEAVES | rotation.LYCORIS_LEAVES | difference.LEAVES
_MARKS = _MARKS - {"alpha"}


@config
class LycorisConfig(ConvertConfig):
    """Settings of the format."""

    names: Literal["kohya", "wrapper"] = "kohya"
    """Which names the layers have: "kohya", as A1111 and ComfyUI look for them (`lora_unet_...`,
    `lora_te_...`), or "wrapper", as LyCORIS's own wrapper does (`lycoris_...`)."""

    part: str = ""
    """For "wrapper": the part of the model that is wrapped, such as "unet"; the names begin below
    it, and what lies elsewhere is left out. Empty for the whole model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.part and self.names != "wrapper":
            raise ValueError("part: is for names = 'wrapper' alone; set that too, or leave it out")


class LycorisFormat:
    """LoRA (its locon), DoRA, LoHa, LoKr, OFT of the output side (its diag-oft) and differences.

    A graft's weight is folded in, but for the rotations of OFT, which must be at 1. For LoHa and
    LoKr the scale is folded in too: LyCORIS 4.1 applies it twice when it merges.
    """

    @staticmethod
    def detect(path: Path) -> bool:
        """Whether `path` is such a file, or a folder with one."""
        leaves = {key.partition(".")[2]: key for key in single_file.keys(path)}
        known = frozenset().union(*single_file.KINDS.values())
        marked = bool(leaves.keys() & _MARKS)
        wrapped = any(key.startswith(WRAPPER) for key in leaves.values())
        return bool(leaves.keys() & known) and (marked or wrapped)

    def write(self, handle: Graft, path: Path, settings: LycorisConfig) -> Export:
        """Write a graft to a folder, or to a .safetensors file.

        Raises:
            GraftworkError: the format has no place for the method, a site, or the weight.
        """
        names = _names(handle, settings)
        if handle.method in _OWN and settings.convert is None:
            layers, error = _own_layers(handle), None
        else:
            layers, error = single_file.plain_layers(
                handle, settings, format="lycoris", holds=", ".join((*METHODS, *_OWN))
            )
        file = single_file.write(
            path,
            {names[layer]: layers[layer] for layer in names},
            dtype=settings.dtype,
            metadata={"ss_network_module": "lycoris.kohya"},
        )
        return Export(path=file, error=error)

    def read(
        self, model: nn.Module, path: Path, *, name: str = "default", weight: float | None = None
    ) -> Graft:
        """Graft a file onto `model`, by either kind of name.

        Raises:
            GraftworkError: the file is damaged, made for another model, or holds something else.
        """
        return single_file.read(model, path, name=name, weight=weight)


def _names(handle: Graft, settings: LycorisConfig) -> dict[str, str]:
    """The names of the layers that are written."""
    layers = single_file.layer_names(handle)
    if settings.names == "kohya":
        return {layer: kohya_name(layer, handle.model, format="lycoris") for layer in layers}
    start = f"{settings.part}." if settings.part else ""
    names = {
        layer: wrapper_name(layer, settings.part) for layer in layers if layer.startswith(start)
    }
    if not names:
        raise GraftworkError(
            f"part: no site of this adapter lies in '{settings.part}'; leave it out"
        )
    return names


def _own_layers(handle: Graft) -> Mapping[str, Leaves]:
    if handle.method == "full":
        return single_file.differences(handle, format="lycoris")
    for adapter in handle.sites.values():
        refuse_site(adapter.site, "lycoris")
    if handle.method == "oft":
        rotation.refuse(handle, side="output", format="lycoris")
        return {
            site: rotation.lycoris_leaves(adapter, handle.settings)
            for site, adapter in handle.sites.items()
        }
    method = hadamard if handle.method == "loha" else kronecker
    layers = {}
    for site, adapter in handle.sites.items():
        leaves = method.leaves(adapter, handle.weight * float(adapter.scale))  # type: ignore[arg-type]
        layers[site] = leaves | {"alpha": torch.tensor(float(method.rank_of(leaves, site) or 1))}
    return layers
