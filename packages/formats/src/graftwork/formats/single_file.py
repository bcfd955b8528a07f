"""Adapters in one safetensors file, keys NAME.LEAF with no dot in NAME: kohya's and LyCORIS's."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError
from graftwork.formats import difference, hadamard, kronecker, low_rank, rotation
from graftwork.formats.layers import Content, Leaves, refuse_site
from graftwork.formats.names import Names
from graftwork.nn import Graft, Site, tensorfile
from graftwork.nn.converting import ConvertConfig
from graftwork.nn.converting import low_rank as factors_of
from graftwork.nn.factors import graft_factors
from graftwork.nn.filling import graft_tensors
from graftwork.nn.match import all_sites

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
    """The leaves of a LoRA, a DoRA or a converted graft by site, and the conversion's error.

    Raises:
        GraftworkError: there is no place for the method or for a site.
    """
    for adapter in handle.sites.values():
        refuse_site(adapter.site, format)
    if settings.convert == "diff":
        return difference.leaves(handle), None
    found = factors_of(handle, settings, format=format, holds=holds)
    layers = {
        name: low_rank.leaves(own, handle.sites[name].site) for name, own in found.factors.items()
    }
    return layers, found.error or None


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
    by_site: dict[str, Leaves] = {}
    for layer, leaves in found.items():
        site = names.site(layer, path)
        if site in by_site:
            raise GraftworkError(f"{path}: '{layer}' names '{site}' a second time; split the file")
        by_site[site] = leaves
    if method == "lora":
        factors = {
            site: low_rank.read(leaves, f"{path}: '{site}'") for site, leaves in by_site.items()
        }
        return graft_factors(model, factors, place=path, name=name, weight=weight)
    sites = all_sites(model)
    content = _content(method, by_site, {site: sites[site] for site in by_site}, str(path))
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


def _content(
    method: str, found: Mapping[str, Leaves], sites: Mapping[str, Site], file: str
) -> Content:
    if method in ("loha", "lokr"):
        kind = hadamard if method == "loha" else kronecker
        ranks = {site: kind.rank_of(own, f"{file}: '{site}'") for site, own in found.items()}
        scales = {  # LyCORIS takes 1 where both factors of a LoKr are whole
            site: low_rank.scale(found[site].get("alpha"), rank) if rank else 1.0
            for site, rank in ranks.items()
        }
        return kind.read(found, scales, sites, file)
    if method == "oft":
        return rotation.read_lycoris(found, sites, file)
    tensors = {
        site: difference.read(own, sites[site], f"{file}: '{site}'") for site, own in found.items()
    }
    return Content(method="full", settings={}, tensors=tensors)
