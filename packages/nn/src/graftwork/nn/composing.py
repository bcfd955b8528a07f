"""Weighted composition: one LoRA in place of several grafts.

With the grafts' changes D_k and weights w_k, the aim is the sum over k of w_k D_k. For LoRAs
D_k = s_k B_k A_k, and the square roots carry the sign of their weight on the side of A:

| how           | the new B A                                                 | rank      |
|---------------|-------------------------------------------------------------|-----------|
| `concatenate` | the sum itself, the factors side by side                    | sum of r_k |
| `svd`         | the sum cut after r singular values, the best at that rank  | r         |
| `linear`      | (sum sqrt(w_k s_k) B_k) (sum sqrt(w_k s_k) A_k)             | r         |

`linear` is not the sum, for it holds every B_i A_j as well; it is what PEFT calls by that name,
and of use for LoRAs that share their start, such as two checkpoints of a run.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

import torch
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.nn.approximating import Approximation, approximate, changes
from graftwork.nn.branches import shared
from graftwork.nn.factors import Factors, factors, graft_factors
from graftwork.nn.handle import Graft
from graftwork.nn.spectrum import Spectrum

How = Literal["linear", "concatenate", "svd"]
_One = TypeVar("_One")


def compose(
    handles: Sequence[Graft],
    weights: Sequence[float] | None = None,
    *,
    how: How = "concatenate",
    rank: int | None = None,
    name: str = "composed",
) -> Graft:
    """Put one LoRA in the place of grafts: it does what they do together.

    It is grafted on the first one's model, and those of `handles` that sit there are taken off.
    For the arguments see `composition`; `name` is that of the new graft.

    Raises:
        GraftworkError: a method, a rank, a weight or the name does not fit, or they act on
            different branches of guidance. Nothing has changed then.
    """
    composed = composition(handles, weights, how=how, rank=rank)
    model = handles[0].model
    result = graft_factors(model, composed.factors, place="compose", name=name)
    result.branch = shared(handles)
    for handle in handles:
        if handle.model is model:
            handle.detach()
    return result


def composition(
    handles: Sequence[Graft],
    weights: Sequence[float] | None = None,
    *,
    how: How = "concatenate",
    rank: int | None = None,
) -> Approximation:
    """The factors of one LoRA that does what grafts do together, and what they leave out.

    Args:
        handles: grafts of one backbone, on one model or on several. `concatenate` and `linear`
            take LoRAs; `svd` takes whatever can be merged.
        weights: one for each; by default the weights that they act with.
        how: see the table above.
        rank: for `svd`; by default the largest of the grafts' own `rank`.

    Raises:
        GraftworkError: a method, a rank or a weight does not fit, or they act on different branches
            of guidance.
    """
    weights = [handle.weight for handle in handles] if weights is None else weights
    _check(handles, weights)
    if how == "svd":
        return approximate(_summed(handles, weights), rank=rank or _own_rank(handles))
    if rank is not None:
        raise GraftworkError(f"compose: '{how}' fixes the rank itself; leave it out or use 'svd'")
    parts = [_factors(one, weight, how) for one, weight in zip(handles, weights, strict=True)]
    if how == "linear":
        _refuse_ranks(parts)
    found = _by_site(parts, _concatenated if how == "concatenate" else _added)
    _refuse_large(found)
    return Approximation(factors=found, energy=dict.fromkeys(found, 1.0), error=0.0)


def _check(handles: Sequence[Graft], weights: Sequence[float]) -> None:
    if not handles:
        raise GraftworkError("compose: there is no adapter; give at least one")
    if len(handles) != len(weights):
        raise GraftworkError(
            f"weights: {len(weights)} for {len(handles)} adapters; give one for each"
        )
    shared(handles)
    for weight in weights:
        if not -1e6 < weight < 1e6:  # refuses NaN too
            raise GraftworkError(f"weights: expected ordinary numbers such as 0.5, got {weight:g}")


def _summed(handles: Sequence[Graft], weights: Sequence[float]) -> dict[str, Spectrum]:
    """The singular values of the sum, from the factors where all are LoRAs."""
    if all(handle.method == "lora" for handle in handles):
        parts = [_factors(one, w, "concatenate") for one, w in zip(handles, weights, strict=True)]
        joined = _by_site(parts, _concatenated)
        return {site: Spectrum.of_product(one.up, one.down) for site, one in joined.items()}
    dense = [changes(one, weight) for one, weight in zip(handles, weights, strict=True)]
    return {site: Spectrum.of_matrix(whole) for site, whole in _by_site(dense, _sum).items()}


def _own_rank(handles: Sequence[Graft]) -> int:
    ranks = [getattr(handle.settings, "rank", None) for handle in handles]
    known = [rank for rank in ranks if isinstance(rank, int)]
    if not known:
        raise GraftworkError("compose: none of these has a rank; give one for 'svd'")
    return max(known)


def _factors(handle: Graft, weight: float, how: How) -> dict[str, Factors]:
    """A LoRA's factors with weight and scale in B, or shared between both sides."""
    if handle.method != "lora":
        raise GraftworkError(
            f"compose: '{how}' takes lora, and '{handle.name}' is {handle.method}; use 'svd'"
        )
    share = _shared if how == "linear" else _in_up
    return {site: share(one, weight * one.scale) for site, one in factors(handle, 1.0).items()}


def _in_up(one: Factors, whole: float) -> Factors:
    return Factors(down=one.down, up=one.up * whole)


def _shared(one: Factors, whole: float) -> Factors:
    root = abs(whole) ** 0.5
    return Factors(down=one.down * (root if whole >= 0 else -root), up=one.up * root)


def _refuse_ranks(parts: Sequence[dict[str, Factors]]) -> None:
    ranks = sorted({one.rank for part in parts for one in part.values()})
    if len(ranks) > 1:
        raise GraftworkError(
            f"compose: 'linear' adds factors of one rank, and these have {ranks[0]} and "
            f"{ranks[-1]}; use 'concatenate' or 'svd', or resize one of them"
        )


def _refuse_large(found: Mapping[str, Factors]) -> None:
    rank = max(one.rank for one in found.values())
    for site, one in found.items():
        rows, cols = len(one.up), one.down.shape[1]
        if rank > min(rows, cols):
            raise GraftworkError(
                f"compose: rank {rank} is above what '{site}' ({rows} x {cols}) can have; use 'svd'"
            )


def _by_site(
    parts: Sequence[dict[str, _One]], join: Callable[[Sequence[_One]], _One]
) -> dict[str, _One]:
    """Join what the parts hold at every site; one that lacks a site changes nothing there."""
    sites = dict.fromkeys(site for part in parts for site in part)
    return {site: join([part[site] for part in parts if site in part]) for site in sites}


def _concatenated(parts: Sequence[Factors]) -> Factors:
    return Factors(
        down=torch.cat([one.down for one in parts]), up=torch.cat([one.up for one in parts], 1)
    )


def _added(parts: Sequence[Factors]) -> Factors:
    return Factors(down=_sum([one.down for one in parts]), up=_sum([one.up for one in parts]))


def _sum(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(tensors)).sum(0)
