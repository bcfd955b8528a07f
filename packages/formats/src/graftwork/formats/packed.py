"""Packed projections: q, k and v are sites of their own here, and one layer in files.

The parts' changes under one another are one change of the layer. With factors B_p A_p for part p:

    [B_q A_q]   [B_q         ] [A_q]
    [B_k A_k] = [    B_k     ] [A_k]     of rank r_q + r_k + r_v, or B_p side by side over one A
    [B_v A_v]   [         B_v] [A_v]     where all A_p are the same

which is exact, and holds for each of the two products of LoHa as well. A part without an adapter
has rows of zeros, and for DoRA the lengths that its rows have. The other way round each part takes
its rows of B, and of A what those meet.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from graftwork.core.plugins import manager
from graftwork.nn import Site
from graftwork.nn.factors import Factors
from graftwork.nn.match import backbone_modules


def layer_of(site: Site) -> Site:
    """The layer of a site as one whole site; the site itself where it is one."""
    if not site.part:
        return site
    name = site.name.removesuffix(f".{site.part}")
    return replace(site, name=name, part="", parts={}, start=0, rows=0)


def layers(model: nn.Module) -> dict[str, tuple[Site, ...]]:
    """The sites of every layer that has several, by the name of `layer_of`."""
    as_site = manager().hook.as_site
    whole = (as_site(module=module, name=name) for name, module in backbone_modules(model))
    return {site.name: site.split() for site in whole if site is not None and site.parts}


def by_layer(sites: Iterable[Site]) -> dict[str, list[Site]]:
    """Sites by the name of their layer, the parts of one in their order."""
    found: dict[str, list[Site]] = {}
    for site in sites:
        found.setdefault(layer_of(site).name, []).append(site)
    return {name: sorted(own, key=lambda site: site.start) for name, own in found.items()}


def joined(found: Mapping[str, Factors], sites: Iterable[Site]) -> dict[str, tuple[Site, Factors]]:
    """The layers of sites, and the factors of each from those of its sites."""
    return {
        name: (layer_of(own[0]), _join(own, [found[site.name] for site in own]))
        for name, own in by_layer(sites).items()
    }


def parted(factors: Factors, parts: Sequence[Site]) -> dict[str, Factors]:
    """The factors of the parts of a layer; parts that do not change are left out, unless none
    does."""
    found = {
        site.name: replace(
            factors,
            up=factors.up.narrow(0, site.start, site.rows),
            magnitude=None
            if factors.magnitude is None
            else factors.magnitude.narrow(0, site.start, site.rows),
        )
        for site in parts
    }
    changed = {name: one for name, one in found.items() if one.up.any()}
    if factors.magnitude is not None or not changed:
        return found
    return {name: _met(one) for name, one in changed.items()}


def block_diagonal(parts: Sequence[Site], blocks: Sequence[Tensor]) -> Tensor:
    """The blocks of some parts on the diagonal, each in the rows of its part."""
    rows = len(layer_of(parts[0]).weight())
    total = blocks[0].new_zeros(rows, sum(block.shape[1] for block in blocks))
    column = 0
    for site, block in zip(parts, blocks, strict=True):
        width = block.shape[1]
        total[site.start : site.start + site.rows, column : column + width] = block
        column += width
    return total


def stacked(parts: Sequence[Site], blocks: Sequence[Tensor], others: Tensor | float) -> Tensor:
    """The rows of some parts under one another, and `others` in those of the rest."""
    total = blocks[0].new_zeros(len(layer_of(parts[0]).weight()), *blocks[0].shape[1:]) + others
    for site, block in zip(parts, blocks, strict=True):
        total[site.start : site.start + site.rows] = block
    return total


def _join(parts: Sequence[Site], found: Sequence[Factors]) -> Factors:
    first = found[0]
    if not parts[0].part:
        return first
    ups = [one.up * (one.scale / first.scale) for one in found]
    magnitude = None
    if first.magnitude is not None:
        lengths = [one.magnitude for one in found if one.magnitude is not None]
        weight = layer_of(parts[0]).weight().detach().to(first.magnitude)
        magnitude = stacked(parts, lengths, torch.linalg.vector_norm(weight, dim=1))
    if all(torch.equal(one.down, first.down) for one in found):
        return replace(first, up=stacked(parts, ups, 0.0), magnitude=magnitude)
    down = torch.cat([one.down for one in found])
    return replace(first, down=down, up=block_diagonal(parts, ups), magnitude=magnitude)


def _met(one: Factors) -> Factors:
    """Without the rows of A that meet only zeros in B."""
    kept = one.up.any(0)
    return replace(one, down=one.down[kept], up=one.up[:, kept])
