"""Which sites of a model a pattern names."""

import difflib
import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import manager
from graftwork.nn.grafted import Grafted
from graftwork.nn.site import Site


def all_sites(model: nn.Module, *, norms: bool = False) -> dict[str, Site]:
    """Every site of a model by dotted name, parts of packed projections apart; with or without
    its norms."""
    as_site = manager().hook.as_site
    return {
        part.name: part
        for name, module in backbone_modules(model)
        if module._parameters  # what has none of its own has no weight; most modules
        and (site := as_site(module=module, name=name)) is not None
        and (norms or site.kind != "norm")
        for part in site.split()
    }


def backbone_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """`named_modules` without the adapters that sit on the model."""
    adapters = {id(module.grafts) for module in model.modules() if isinstance(module, Grafted)}
    hidden: tuple[str, ...] = ()
    for name, module in model.named_modules():
        if id(module) in adapters:
            hidden = (f"{name}.",)  # their own modules follow at once
        elif not (hidden and name.startswith(hidden)):
            yield name, module


def match_sites(
    model: nn.Module, patterns: str | Sequence[str], *, norms: bool = False
) -> dict[str, Site]:
    """The sites that shell-style patterns name, in the model's order; norms only if asked for.

    A pattern that starts with "!" takes sites away. Every other pattern must match.

    Raises:
        GraftworkError: a pattern matches no site, or nothing is left.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    sites = all_sites(model, norms=norms)
    chosen: dict[str, Site] = {}
    for pattern in patterns:
        if not pattern.startswith("!"):
            chosen |= _matching(pattern, sites, model)
    for pattern in patterns:
        if pattern.startswith("!"):
            for name in _matching(pattern[1:], sites, model):
                chosen.pop(name, None)
    if not chosen:
        raise GraftworkError(f"sites: {patterns} leave no site; name at least one pattern")
    return {name: site for name, site in sites.items() if name in chosen}


def _matching(pattern: str, sites: Mapping[str, Site], model: nn.Module) -> dict[str, Site]:
    matches = re.compile(fnmatch.translate(pattern)).match
    found = {name: site for name, site in sites.items() if matches(name)}
    if not found:
        others = [name for name, _ in backbone_modules(model) if matches(name)]
        raise GraftworkError(_no_match(pattern, list(sites), others))
    return found


def _no_match(pattern: str, sites: list[str], others: list[str]) -> str:
    if not sites:
        return f"sites: the model has no layer to adapt (pattern '{pattern}')"
    if others:
        return (
            f"sites: '{pattern}' matches '{others[0]}', which is not a layer graftwork can adapt; "
            f"name a layer inside it, such as '{others[0]}.*'"
        )
    tails = {name.rpartition(".")[2]: name for name in sites}
    near = difflib.get_close_matches(pattern, sites, n=3, cutoff=0.3)
    near = near or [
        tails[t] for t in difflib.get_close_matches(pattern.strip("*."), tails, n=3, cutoff=0.3)
    ]
    return f"sites: '{pattern}' matches no site; nearest: {', '.join(near or sites[:3])}"
