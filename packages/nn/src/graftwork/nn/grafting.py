"""To graft: put adapters on the sites of a frozen backbone."""

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import manager
from graftwork.core.records import AdapterSpec
from graftwork.nn import words
from graftwork.nn.adapter import Adapter, TokenAdapter, WeightAdapter
from graftwork.nn.handle import Graft, grafts
from graftwork.nn.match import match_sites
from graftwork.nn.site import Site
from graftwork.nn.without_collector import without_collector


@without_collector()
def graft(
    model: nn.Module,
    method: str,
    settings: Mapping[str, Any] | Any = (),
    *,
    sites: str | Sequence[str] | None = None,
    name: str = "default",
    weight: float = 1.0,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> Graft:
    """Freeze `model` and put trainable adapters of one method on its sites.

    Args:
        model: the backbone; its parameters stop requiring gradients until the last `detach`.
        method: name of a registered adapter ("lora", "dora", ...).
        settings: the method's settings, as a mapping or an instance of its settings class.
        sites: shell-style patterns over dotted module names, each of which must match; a
            leading "!" excludes. None asks the `default_sites` hook.
        name: the graft's name on this model.
        weight: how strongly the graft acts.
        dtype: dtype of the adapter's parameters and arithmetic.
        seed: with the site's name, fixes an adapter's initial values; the order of sites or
            the other grafts on the model do not matter.

    Raises:
        GraftworkError: an unknown method or setting, a pattern without a match, a name taken,
            or a site that the method cannot sit on. The model is then as it was.
    """
    spec = registry.find("adapters", method)
    assert isinstance(spec, AdapterSpec)
    check_name(model, name)
    cls = spec.load()
    chosen = match_sites(model, _patterns(model, method, sites), norms=cls.norms)
    settings = read_settings(spec, settings)
    cls.check(settings, chosen)
    with torch.random.fork_rng(devices=[]):
        adapters = {
            site_name: _build(model, spec, site, settings, dtype, seed)
            for site_name, site in chosen.items()
        }
        _join(spec, adapters, dtype, seed)
    return assemble(model, spec, settings, adapters, name=name, weight=weight)


def assemble(
    model: nn.Module,
    spec: AdapterSpec,
    settings: Any,
    adapters: Mapping[str, Adapter],
    *,
    name: str,
    weight: float,
) -> Graft:
    """Freeze the model and attach adapters that are already built."""
    for adapter in adapters.values():
        if name in getattr(adapter.site.layer, "grafts", ()):  # by way of a part of the model
            raise GraftworkError(
                f"graft '{name}' already sits on part of this model; choose another name"
            )
    words.refuse_taken_words(model, adapters.values())
    _number_tokens(model, adapters)
    return Graft(model, spec, settings, adapters, name=name, weight=weight)


def blank(spec: AdapterSpec, sites: Mapping[str, Site], settings: Any) -> dict[str, Adapter]:
    """Adapters without values, for a file to fill: nothing is drawn, and `check` is not asked."""
    cls = spec.load()
    for site in sites.values():
        check_family(spec, cls, site)
    with torch.device("meta"):
        adapters = {name: cls(site, settings) for name, site in sites.items()}
        cls.join(adapters)
    return adapters


def read_settings(spec: AdapterSpec, settings: Mapping[str, Any] | Any) -> Any:
    """Settings of a method from a mapping; an instance of its settings class passes."""
    cls = spec.settings_class()
    if cls is not None and isinstance(settings, cls):
        return settings
    return parse(cls, dict(settings), where=spec.name)


def check_family(spec: AdapterSpec, adapter: type[Adapter], site: Site) -> None:
    """Refuse a site that an adapter of this family cannot sit on."""
    if issubclass(adapter, TokenAdapter) and site.kind != "embedding":
        raise GraftworkError(f"{spec.name}: '{site.name}' is not an embedding; name one in `sites`")
    if site.kind == "norm" and not adapter.norms:
        raise GraftworkError(f"{spec.name}: '{site.name}' is a norm; name other sites")
    if not issubclass(adapter, WeightAdapter) and not site.observable:
        raise GraftworkError(
            f"{spec.name}: '{site.name}' does not show its input to adapters, only its weight; "
            "choose other sites or a weight method"
        )


def place(adapter: Adapter, site: Site, dtype: torch.dtype) -> Adapter:
    """Move a built adapter to its layer's device, in its own dtype, in evaluation mode or not
    as the layer is."""
    device = site.frozen().device
    # Asked first, for to move and to switch a module that is right cost as much as to build it.
    if any(
        tensor.device != device or (tensor.is_floating_point() and tensor.dtype != dtype)
        for tensor in (*adapter.parameters(), *adapter.buffers())
    ):
        adapter.to(device=device, dtype=dtype)
    training = site.layer.training
    if any(module.training != training for module in adapter.modules()):
        adapter.train(training)
    return adapter


def _build(
    model: nn.Module,
    spec: AdapterSpec,
    site: Site,
    settings: Any,
    dtype: torch.dtype,
    seed: int,
) -> Adapter:
    cls = spec.load()
    check_family(spec, cls, site)
    # Drawn on the CPU from the site's own seed: the same on every device and in any order.
    torch.default_generator.manual_seed(zlib.crc32(f"{seed}/{site.name}".encode()))
    adapter = place(cls(site, settings), site, dtype)
    if isinstance(adapter, TokenAdapter):
        adapter.initial_ids = words.read_initial(model, adapter)
    if cls.start is not Adapter.start:  # spares a wide copy of every weight
        weight = site.weight().detach()
        adapter.start(weight.to(torch.promote_types(weight.dtype, dtype)))
    return adapter


def _join(
    spec: AdapterSpec, adapters: Mapping[str, Adapter], dtype: torch.dtype, seed: int
) -> None:
    cls = spec.load()
    if cls.join.__func__ is not Adapter.join.__func__:  # type: ignore[attr-defined]
        torch.default_generator.manual_seed(seed)
        cls.join(adapters)
        for adapter in adapters.values():
            place(adapter, adapter.site, dtype)


def _patterns(model: nn.Module, method: str, sites: str | Sequence[str] | None) -> Any:
    patterns = sites or manager().hook.default_sites(backbone=model, adapter=method)
    if not patterns:
        raise GraftworkError("sites: no default is known for this model; give a pattern")
    return patterns


def check_name(model: nn.Module, name: str) -> None:
    """Refuse a graft name that is taken or that a module tree cannot hold."""
    if name in grafts(model):
        raise GraftworkError(f"graft '{name}' is already on the model; detach it or choose a name")
    if not re.fullmatch(r"[\w-]+", name) or hasattr(nn.ModuleDict(), name):
        raise GraftworkError(f"graft name '{name}' cannot be used; letters, digits, - and _ only")


def _number_tokens(model: nn.Module, adapters: Mapping[str, Adapter]) -> None:
    """Give the vectors of token adapters the ids after the vocabulary and earlier vectors."""
    for adapter in adapters.values():
        if isinstance(adapter, TokenAdapter):
            layer = adapter.site.layer
            taken = [
                other.first_id + len(other.vectors())
                for member in getattr(layer, "grafts", {}).values()
                for other in member.values()
                if isinstance(other, TokenAdapter)
            ]
            adapter.first_id = max([adapter.site.cols, *taken])
