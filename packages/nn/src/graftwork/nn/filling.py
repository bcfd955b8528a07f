"""Grafts with given values, as files of other tools hold them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graftwork.core import registry
from graftwork.core.errors import GraftworkError
from graftwork.core.records import AdapterSpec
from graftwork.nn import grafting
from graftwork.nn.adapter import Adapter
from graftwork.nn.assigning import assign
from graftwork.nn.handle import Graft
from graftwork.nn.match import all_sites
from graftwork.nn.site import Site
from graftwork.nn.without_collector import without_collector


@without_collector()
def graft_tensors(
    model: nn.Module,
    method: str,
    settings: Mapping[str, Any],
    tensors: Mapping[str, Mapping[str, Tensor]],
    *,
    place: str | Path,
    name: str = "default",
    weight: float | None = None,
) -> Graft:
    """Graft a method on the sites of `tensors` and give its parameters these values.

    As on loading, nothing is drawn, and settings may be what a fresh graft is refused, such as a
    rank above a site's.

    Args:
        model: the backbone.
        method: name of the adapter.
        settings: its settings.
        tensors: the parameters and buffers of every site, by the method's own names.
        place: where they come from, for errors.
        name: the graft's name on the model.
        weight: how strongly it acts; 1 if absent.

    Raises:
        GraftworkError: a site is missing from the model, or a tensor is missing, unknown or of
            another shape. The model is then as it was.
    """
    try:
        spec = registry.find("adapters", method)
        assert isinstance(spec, AdapterSpec)
        grafting.check_name(model, name)
        parsed = grafting.read_settings(spec, settings)
        adapters = grafting.blank(spec, _sites(model, tensors), parsed)
    except GraftworkError as error:
        raise GraftworkError(f"{place}: {error}") from error
    for site, adapter in adapters.items():
        _fill(adapter, tensors[site], place)
    weight = 1.0 if weight is None else weight
    return grafting.assemble(model, spec, parsed, adapters, name=name, weight=weight)


def _sites(model: nn.Module, names: Mapping[str, Any]) -> dict[str, Site]:
    sites = all_sites(model, norms=True)
    for name in names:
        if name not in sites:
            raise GraftworkError(
                f"the model has no site '{name}'; load the backbone it was made for"
            )
    return {name: site for name, site in sites.items() if name in names}


def _fill(adapter: Adapter, values: Mapping[str, Tensor], place: str | Path) -> None:
    """Give a blank adapter its values, in float32."""
    blank, site = adapter.state_dict(), adapter.site
    for key in sorted(blank.keys() ^ values.keys()):
        problem = "is missing" if key in blank else "is no parameter of it"
        raise GraftworkError(f"{place}: made for another model ('{site.name}.{key}' {problem})")
    for key, tensor in values.items():
        if tensor.shape != blank[key].shape:
            raise GraftworkError(
                f"{place}: made for another model ('{site.name}.{key}' has shape "
                f"{tuple(tensor.shape)} instead of {tuple(blank[key].shape)})"
            )
    # Copies, for sites may have been given one tensor together.
    own = {key: tensor.detach().to(blank[key].dtype, copy=True) for key, tensor in values.items()}
    assign(adapter, own)
    grafting.place(adapter, site, torch.float32)
