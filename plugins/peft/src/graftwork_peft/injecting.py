"""Letting PEFT put its layers on sites, without touching the backbone."""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from peft import get_peft_model
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn

from graftwork.core.errors import GraftworkError, one_line
from graftwork.nn import Site
from graftwork.nn.stand_in import SiteLinear, made_in_earnest, plain_linear

_REFUSALS = (ValueError, TypeError, AssertionError, NotImplementedError, RuntimeError, IndexError)
"""What PEFT raises for a layer or a setting that it cannot take."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Injected:
    """What PEFT made for some sites. Every tensor is registered in one module only."""

    tuner: BaseTuner
    """PEFT's model over the layers."""
    layers: dict[str, nn.Module]
    """PEFT's layer for each site."""
    common: nn.ModuleDict
    """What the tuner itself holds for its layers."""
    lent: dict[str, tuple[nn.Module, ...]]
    """For each site the modules that its layer uses, and another one or the tuner holds."""


def inject(method: str, config: Any, sites: Mapping[str, Site]) -> Injected:
    """Let PEFT put layers of one method on sites.

    PEFT sees linear layers that share the sites' weights, named as the sites are. What it made
    owns what PEFT trains, and nothing of the backbone's.

    Raises:
        GraftworkError: PEFT refuses a site or the settings.
    """
    holder = _holder(sites)
    config.target_modules = _targets(holder, sites)
    with made_in_earnest(next(iter(sites.values()))), warnings.catch_warnings():
        # PEFT's advice is for language models under transformers.
        warnings.simplefilter("ignore")
        try:
            tuner: Any = get_peft_model(holder, config, autocast_adapter_dtype=False).base_model
        except (ImportError, *_REFUSALS) as error:
            raise GraftworkError(
                f"peft/{method}: {', '.join(list(sites)[:2])}: {one_line(error)}; change the "
                "setting, or leave such sites out"
            ) from error
    layers = {name: holder.get_submodule(name) for name in sites}
    for name, site in sites.items():
        _replace_base(layers[name], site)
    children = {name: child for name, child in tuner.named_children() if name != "model"}
    common = nn.ModuleDict(children)
    return Injected(tuner=tuner, layers=layers, common=common, lent=_lend(layers, common))


def _holder(sites: Mapping[str, Site]) -> nn.Module:
    """A module tree with a linear layer at each site's name."""
    root = nn.Module()
    for name, site in sites.items():
        *path, leaf = name.split(".")
        parent = root
        for part in path:
            if part not in parent._modules:
                parent.add_module(part, nn.Module())
            parent = parent.get_submodule(part)
        parent.add_module(leaf, plain_linear(site))
    return root


def _targets(holder: nn.Module, sites: Mapping[str, Site]) -> list[str]:
    """The last parts of the sites' names where they tell the sites, for Lily shares its factors
    between the layers that one target names; the whole names elsewhere."""
    leaves = list(dict.fromkeys(name.rpartition(".")[2] for name in sites))
    others = [name for name, _ in holder.named_modules() if name not in sites]
    clash = any(name == leaf or name.endswith(f".{leaf}") for name in others for leaf in leaves)
    return list(sites) if clash else leaves


def _replace_base(layer: nn.Module, site: Site) -> None:
    """Put the site's stand-in under PEFT's layer."""
    assert isinstance(layer, BaseTunerLayer)
    layer.base_layer = SiteLinear(site)


def _lend(
    layers: Mapping[str, nn.Module], common: nn.ModuleDict
) -> dict[str, tuple[nn.Module, ...]]:
    """Make what a layer shares a plain reference, but for the first one that has it."""
    taken = {id(tensor) for tensor in _tensors(common)}
    lent: dict[str, tuple[nn.Module, ...]] = {}
    for name, layer in layers.items():
        shared = [
            (key, child)
            for key, child in layer.named_children()
            if (tensors := _tensors(child)) and all(id(tensor) in taken for tensor in tensors)
        ]
        for key, child in shared:
            del layer._modules[key]
            layer.__dict__[key] = child
        lent[name] = tuple(child for _, child in shared)
        taken |= {id(tensor) for tensor in _tensors(layer)}
    return lent


def _tensors(module: nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(), *module.buffers()]
