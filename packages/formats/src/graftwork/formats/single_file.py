"""Adapters in one safetensors file, keys NAME.LEAF with no dot in NAME: kohya's and LyCORIS's."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path

import torch
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError
from graftwork.formats import difference, hadamard, kronecker, low_rank, packed, rotation
from graftwork.formats.layers import Leaves, refuse_site
from graftwork.formats.names import Names
from graftwork.nn import Graft, Site, tensorfile
from graftwork.nn.converting import ConvertConfig
from graftwork.nn.converting import low_rank as factors_of
from graftwork.nn.factors import Factors, graft_factors
from graftwork.nn.filling import graft_tensors
from graftwork.nn.forms import Content

NAME = "lora.safetensors"
"""What the file is called in a folder."""

KINDS = {
    "lora": low_rank.LEAVES,
    "loha": hadamard.LEAVES,
    "lokr": kronecker.LEAVES,
    "oft": rotation.LYCORIS_LEAVES,
    "full": difference.LEAVES,
}
"""The leaves of a layer by the method that reads them."""


def write(
    path: Path, layers: Mapping[str, Leaves], *, dtype: str, metadata: Mapping[str, str]
) -> Path:
    """Write the leaves of every layer; returns the file.

    `path` is a folder, or a file whose name ends in .safetensors.
    """
    file = path if path.suffix == ".safetensors" else path / NAME
    rounded = getattr(torch, dtype)
    tensors = {
        f"{name}.{leaf}": tensor if leaf == "alpha" else tensor.to(rounded)
        for name, leaves in layers.items()
        for leaf, tensor in leaves.items()
    }
    tensorfile.write(file, tensors, metadata)
    return file


def plain_layers(
    handle: Graft, settings: ConvertConfig, *, format: str, holds: str = "lora and dora"
) -> tuple[Mapping[str, Leaves], float | None]:
    """The leaves of a LoRA, a DoRA or a converted graft by layer, and the conversion's error.

    Raises:
        GraftworkError: there is no place for the method or for a site.
    """
    if settings.convert == "diff":
        return differences(handle, format=format), None
    _refuse_layers(handle, format)
    found = factors_of(handle, settings, format=format, holds=holds)
    joined = packed.joined(found.factors, [one.site for one in handle.sites.values()])
    layers = {name: low_rank.leaves(own, layer) for name, (layer, own) in joined.items()}
    return layers, found.error or None


def differences(handle: Graft, *, format: str) -> Mapping[str, Leaves]:
    """The whole differences of a graft by layer.

    Raises:
        GraftworkError: there is no place for a site, or the method changes no weight.
    """
    _refuse_layers(handle, format)
    return difference.leaves(handle)


def layer_names(handle: Graft) -> list[str]:
    """The names of a graft's layers: its sites, the parts of a packed projection as one."""
    return list(packed.by_layer(adapter.site for adapter in handle.sites.values()))


def _refuse_layers(handle: Graft, format: str) -> None:
    for adapter in handle.sites.values():
        refuse_site(packed.layer_of(adapter.site), format)


def keys(path: Path) -> list[str]:
    """The keys of a file, or of the one file in a folder; none if there is no such thing."""
    return tensorfile.keys(_file(path))


def read(model: nn.Module, path: Path, *, name: str, weight: float | None) -> Graft:
    """Graft a file onto a model.

    Raises:
        GraftworkError: the file is damaged, made for another model, or holds what no adapter of
            graftwork does. The model is then as it was.
    """
    path = _file(path)
    names, found = Names(model), _layers(path)
    method = _method(found, path)
    layers: dict[str, tuple[list[Site], Leaves]] = {}
    for layer, leaves in found.items():
        sites = names.sites(layer, path)
        full = packed.layer_of(sites[0]).name
        if full in layers:
            raise GraftworkError(f"{path}: '{layer}' names '{full}' a second time; split the file")
        layers[full] = sites, leaves
    if method == "lora":
        factors = _factors(layers, path)
        return graft_factors(model, factors, place=path, name=name, weight=weight)
    content = _content(method, layers, str(path))
    return graft_tensors(
        model,
        content.method,
        content.settings,
        content.tensors,
        place=path,
        name=name,
        weight=weight,
    )


def _file(path: Path) -> Path:
    return path / NAME if path.is_dir() else path


def _layers(path: Path) -> dict[str, dict[str, Tensor]]:
    """The leaves of every layer; a key that nothing here reads is refused by name."""
    known = frozenset().union(*KINDS.values())
    tensors, _ = tensorfile.read(path)
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, leaf = key.partition(".")
        if leaf not in known:
            raise GraftworkError(
                f"{path}: '{key}' is of a kind that graftwork does not read; merge the file with "
                "the tool that wrote it"
            )
        found.setdefault(name, {})[leaf] = tensor
    return found


def _method(found: Mapping[str, Leaves], path: Path) -> str:
    """The one method of a file's layers."""
    methods = {}
    for name, leaves in found.items():
        method = next((m for m, known in KINDS.items() if known >= leaves.keys()), None)
        if method is None:
            raise GraftworkError(
                f"{path}: '{name}' mixes {' and '.join(sorted(leaves))}, which no one method of "
                "graftwork does; merge the file with the tool that wrote it"
            )
        methods[method] = name
    if len(methods) != 1:
        also = " and ".join(f"{method} ('{name}')" for method, name in sorted(methods.items()))
        raise GraftworkError(f"{path}: holds {also or 'nothing'}; split it into a file for each")
    return next(iter(methods))


def _factors(layers: Mapping[str, tuple[list[Site], Leaves]], path: Path) -> dict[str, Factors]:
    """The factors of every site."""
    found: dict[str, Factors] = {}
    for layer, (sites, leaves) in layers.items():
        own = low_rank.read(leaves, f"{path}: '{layer}'")
        found |= packed.parted(own, sites) if sites[0].part else {layer: own}
    return found


def _content(method: str, layers: Mapping[str, tuple[list[Site], Leaves]], file: str) -> Content:
    if method == "full":
        read = [
            difference.read(own, parts, f"{file}: '{layer}'")
            for layer, (parts, own) in layers.items()
        ]
        return Content(method="full", settings={}, tensors=reduce(or_, read))
    found = {layer: leaves for layer, (_, leaves) in layers.items()}
    sites = {layer: parts[0] for layer, (parts, _) in layers.items()}
    for layer, site in sites.items():
        if site.part:
            raise GraftworkError(
                f"{file}: '{layer}' is a packed projection here, whose parts cannot be read from "
                f"{method}; merge the file with the tool that wrote it"
            )
    if method in ("loha", "lokr"):
        kind = hadamard if method == "loha" else kronecker
        ranks = {site: kind.rank_of(own, f"{file}: '{site}'") for site, own in found.items()}
        scales = {  # LyCORIS takes 1 where both factors of a LoKr are whole
            site: low_rank.scale(found[site].get("alpha"), rank) if rank else 1.0
            for site, rank in ranks.items()
        }
        return kind.read(found, scales, sites, file)
    return rotation.read_lycoris(found, sites, file)
