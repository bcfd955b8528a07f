"""The format of PEFT: a folder with adapter_config.json and adapter_model.safetensors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graftwork.core import atomic
from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.formats import hadamard, kronecker, peft_config, peft_lora, rotation
from graftwork.formats.layers import Leaves, refuse_site
from graftwork.formats.peft_config import CONFIG
from graftwork.nn import Graft, Site, tensorfile
from graftwork.nn.converting import SVDConfig, low_rank
from graftwork.nn.exporting import Export
from graftwork.nn.factors import graft_factors
from graftwork.nn.filling import graft_tensors
from graftwork.nn.match import all_sites

WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_BASE = "base_layer.weight"
_LEAVES = {
    "lora": peft_lora.LEAVES | {_BASE},
    "loha": hadamard.LEAVES - {"alpha"},
    "lokr": kronecker.LEAVES - {"alpha"},
    "oft": rotation.PEFT_LEAVES,
}


@config
class PeftConfig(SVDConfig):
    """Settings of the format."""

    part: str = ""
    """The part of the model that PEFT is to be put on, such as "unet": names begin below it, and
    what lies elsewhere is left out. Empty for the whole model."""


class PeftFormat:
    """What `PeftModel.from_pretrained` reads: LoRA, DoRA, LoHa, LoKr, and OFT of the input side.

    A graft's weight is folded in, but for DoRA and OFT, which must be at 1.
    """

    @staticmethod
    def detect(path: Path) -> bool:
        """Whether `path` is a folder with both files."""
        return (path / CONFIG).is_file() and (path / WEIGHTS).is_file()

    def write(self, handle: Graft, path: Path, settings: PeftConfig) -> Export:
        """Write a graft to a folder; returns it.

        Raises:
            GraftworkError: the format has no place for the method, a site, or the weight.
        """
        modules = _modules(handle, settings.part)
        fields, layers, error = _content(handle, settings, modules)
        tensors = {
            f"{_PREFIX}{module}.{leaf}": tensor
            for site, module in modules.items()
            for leaf, tensor in layers[site].items()
        }
        document = peft_config.document(fields, modules.values())
        with atomic.folder(path) as target:
            tensorfile.write(target / WEIGHTS, tensors, {"format": "pt"})
            (target / CONFIG).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        return Export(path=path, error=error)

    def read(
        self, model: nn.Module, path: Path, *, name: str = "default", weight: float | None = None
    ) -> Graft:
        """Graft a folder onto `model`, or onto the one part of it that has all the modules.

        Raises:
            GraftworkError: the files are damaged, made for another model, or hold something else.
        """
        method, config = peft_config.read(path / CONFIG)
        found = _layers(path / WEIGHTS, method)
        sites = _sites(model, found, path)
        _refuse_other_base(found, sites, path)
        by_site = {sites[module].name: leaves for module, leaves in found.items()}
        if method == "lora":
            factors = {
                sites[module].name: peft_lora.read(
                    leaves, module, sites[module], config, f"{path}: '{module}'"
                )
                for module, leaves in found.items()
            }
            return graft_factors(model, factors, place=path, name=name, weight=weight)
        places = {site.name: site for site in sites.values()}
        if method == "oft":
            content = rotation.read_peft(by_site, config, places, str(path))
        else:
            scales = {sites[module].name: _scale(module, config) for module in found}
            kind = hadamard if method == "loha" else kronecker
            content = kind.read(by_site, scales, places, str(path))
        return graft_tensors(
            model,
            content.method,
            content.settings,
            content.tensors,
            place=path,
            name=name,
            weight=weight,
        )


def _modules(handle: Graft, part: str) -> dict[str, str]:
    """The module that PEFT knows each site by."""
    start = f"{part}." if part else ""
    modules = {site: site.removeprefix(start) for site in handle.sites if site.startswith(start)}
    if not modules:
        raise GraftworkError(f"part: no site of this adapter lies in '{part}'; leave it out")
    return modules


def _content(
    handle: Graft, settings: PeftConfig, modules: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]], float | None]:
    """The method's fields of the configuration, the leaves by site, and a conversion's error."""
    adapters = {name: handle.sites[name] for name in modules}
    own = {"loha": hadamard, "lokr": kronecker}.get(handle.method)
    if settings.convert is None and (own or handle.method == "oft"):
        for adapter in adapters.values():
            refuse_site(adapter.site, "peft", kinds=("linear", "conv1d", "conv2d"))
        if own:
            layers = {name: own.leaves(one, handle.weight) for name, one in adapters.items()}
            return _fields(handle), layers, None
        rotation.refuse(handle, side="input", format="peft")
        rotation.refuse_kernels(adapters.values())
        layers = {
            name: rotation.peft_leaves(one, handle.settings) for name, one in adapters.items()
        }
        return rotation.peft_fields(handle.settings), layers, None
    found = low_rank(handle, settings, format="peft", holds="lora, dora, loha, lokr and oft")
    layers = {
        name: peft_lora.leaves(found.factors[name], one.site) for name, one in adapters.items()
    }
    fields = peft_lora.fields({module: found.factors[name] for name, module in modules.items()})
    return fields, layers, found.error or None


def _fields(handle: Graft) -> dict[str, Any]:
    """LoHa's and LoKr's part of the configuration."""
    settings = handle.settings
    fields = {
        "peft_type": handle.method.upper(),
        "r": settings.rank,
        "alpha": settings.alpha or settings.rank,
        "use_effective_conv2d": False,
        "rank_pattern": {},
        "alpha_pattern": {},
    }
    if handle.method == "lokr":
        fields["decompose_both"] = settings.decompose_both
        fields["decompose_factor"] = settings.factor
    return fields


def _layers(file: Path, method: str) -> dict[str, dict[str, Tensor]]:
    """The leaves of every module; a key that the method does not have is refused by name."""
    tensors, _ = tensorfile.read(file)
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        path = key.removeprefix(_PREFIX)
        leaf = next((leaf for leaf in _LEAVES[method] if path.endswith(f".{leaf}")), None)
        if leaf is None:
            raise GraftworkError(
                f"{file}: '{key}' is no part of {method} that graftwork reads; merge it with PEFT"
            )
        found.setdefault(path.removesuffix(f".{leaf}"), {})[leaf] = tensor
    return found


def _sites(model: nn.Module, found: Mapping[str, Leaves], path: Path) -> dict[str, Site]:
    """The site of every module, below the model or below one part of it."""
    sites = all_sites(model)
    parts = ["", *(f"{name}." for name, _ in model.named_children())]
    for part in parts:
        if all(f"{part}{module}" in sites for module in found):
            return {module: sites[f"{part}{module}"] for module in found}
    missing = next(module for module in found if module not in sites)
    raise GraftworkError(
        f"{path}: the model has no site '{missing}'; load the backbone it was made for"
    )


def _refuse_other_base(
    found: Mapping[str, dict[str, Tensor]], sites: Mapping[str, Site], path: Path
) -> None:
    """Drop the base weights that PEFT saves with embeddings, if they are the model's own."""
    for module, leaves in found.items():
        base = leaves.pop(_BASE, None)
        if base is not None and not torch.equal(base, sites[module].frozen().to(base)):
            raise GraftworkError(
                f"{path}: holds other base weights for '{module}' than the model has; load the "
                "backbone it was made for"
            )


def _scale(module: str, config: Mapping[str, Any]) -> float:
    rank = peft_config.at(config.get("rank_pattern"), module, config.get("r", 8))
    value = peft_config.at(config.get("alpha_pattern"), module, config.get("alpha", 8))
    return float(value) / rank
