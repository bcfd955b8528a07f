"""LoRAs in place of other changes: of weighted sums of grafts, or of a graft at another rank."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.nn.adapter import WeightAdapter
from graftwork.nn.factors import METHODS, Factors, factors
from graftwork.nn.handle import Graft
from graftwork.nn.spectrum import Spectrum


@dataclass(frozen=True, kw_only=True)
class Approximation:
    """Low-rank factors, and what they leave out."""

    factors: Mapping[str, Factors]
    """The factors by site."""
    energy: Mapping[str, float]
    """||D_r||^2 / ||D||^2 of every site, 1 where nothing is lost."""
    error: float
    """||D - D_r|| / ||D|| over all sites together."""


@torch.no_grad()
def change(adapter: WeightAdapter) -> Float[Tensor, "rows cols"]:
    """W' - W of a site, as its frozen weight is now."""
    weight = adapter.site.weight().detach()
    wide = weight.to(torch.promote_types(weight.dtype, adapter.dtype))
    with torch.autocast(weight.device.type, enabled=False):
        if adapter.additive:  # W' - W does not depend on W, and from zero it loses no digits
            return adapter.effective(torch.zeros_like(wide))
        return adapter.effective(wide) - wide


def changes(handle: Graft, weight: float | None = None) -> dict[str, Float[Tensor, "rows cols"]]:
    """W' - W of every site times `weight`, by default the graft's own.

    Raises:
        GraftworkError: the method has no such matrix.
    """
    weight = handle.weight if weight is None else weight
    found = {}
    for name, adapter in handle.sites.items():
        if not isinstance(adapter, WeightAdapter):
            raise GraftworkError(
                f"{handle.method} changes no weight; keep it as it is, in graftwork's own files "
                "(`save`)"
            )
        found[name] = weight * change(adapter)
    return found


def spectra(handle: Graft) -> dict[str, Spectrum]:
    """The singular values of a graft's change at every site, its weight included."""
    if handle.method == "lora":
        return {
            name: Spectrum.of_product(one.scale * one.up, one.down)
            for name, one in factors(handle).items()
        }
    return {name: Spectrum.of_matrix(matrix) for name, matrix in changes(handle).items()}


def approximate(
    found: Mapping[str, Spectrum], *, rank: int | None = None, energy: float | None = None
) -> Approximation:
    """The best factors of one rank for all sites.

    Args:
        found: the change of every site.
        rank: the rank; sites that have no more than a lower one take that.
        energy: in place of a rank, the share of ||D||^2 that every site has to keep; the smallest
            rank that does so is taken.

    Raises:
        GraftworkError: neither or both are given, or out of range.
    """
    rank = _rank(found, rank, energy)
    total = sum(one.total() for one in found.values())
    lost = sum(one.total() - one.kept(rank) for one in found.values())
    return Approximation(
        factors={name: one.cut(rank) for name, one in found.items()},
        energy={
            name: one.kept(rank) / one.total() if one.total() else 1.0
            for name, one in found.items()
        },
        error=(max(lost, 0.0) / total) ** 0.5 if total else 0.0,
    )


def reranked(
    handle: Graft, *, rank: int | None = None, energy: float | None = None
) -> Approximation:
    """A graft as a LoRA of another rank. DoRA keeps its magnitude, and B A alone is cut.

    Raises:
        GraftworkError: the method changes no weight, or `rank` and `energy` do not fit.
    """
    if handle.method not in METHODS:
        return approximate(spectra(handle), rank=rank, energy=energy)
    own = factors(handle)
    products = {
        name: Spectrum.of_product(one.scale * one.up, one.down) for name, one in own.items()
    }
    cut = approximate(products, rank=rank, energy=energy)
    kept = {name: replace(one, magnitude=own[name].magnitude) for name, one in cut.factors.items()}
    return replace(cut, factors=kept)


def _rank(found: Mapping[str, Spectrum], rank: int | None, energy: float | None) -> int:
    if (rank is None) == (energy is None):
        raise GraftworkError("rank: give either a rank or a share of energy")
    if rank is not None:
        if rank < 1:
            raise GraftworkError(f"rank: expected at least 1, got {rank}")
        return rank
    assert energy is not None
    if not 0 < energy <= 1:
        raise GraftworkError(f"energy: expected a share above 0 and up to 1, got {energy:g}")
    return max(one.rank_for(energy) for one in found.values())
