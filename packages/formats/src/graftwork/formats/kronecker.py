"""LoKr in files, the same names in PEFT and LyCORIS (Yeh et al. 2023, arXiv:2309.14859).

    lokr_w1 (l, m)                  C, or lokr_w1_a (l, rank) times lokr_w1_b (rank, m)
    lokr_w2 (k, n[, kernel])        F, or lokr_w2_a (k, rank) times lokr_w2_b (rank, n * kernel)

The change is scale C (x) F. In Tucker's form (read only), with `lokr_t2` (rank, rank, kernel),
w2_a is (rank, k) and w2_b (rank, n). LyCORIS takes 1 for the scale where C and F are whole.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.formats.layers import Leaves, fits, need, tucker
from graftwork.nn import Site
from graftwork.nn.adapter import Adapter
from graftwork.nn.factors import alpha
from graftwork.nn.forms import Content

LEAVES = frozenset(
    {
        *("lokr_w1", "lokr_w1_a", "lokr_w1_b"),
        *("lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "alpha"),
    }
)


def leaves(adapter: Adapter, factor: float) -> dict[str, Tensor]:
    """The tensors of one layer, the change times `factor`, the scale left out."""
    own = {key: tensor.detach() for key, tensor in adapter.state_dict().items()}
    first = "coarse.up" if "coarse.up" in own else "coarse.down"
    own[first] = own[first] * factor
    found = _named("lokr_w1", own, "coarse") | _named("lokr_w2", own, "fine")
    if "lokr_w2" in found:
        site = adapter.site
        whole = found["lokr_w2"]
        found["lokr_w2"] = whole.view(len(whole), -1, *_kernel(site))
    return found


def rank_of(found: Leaves, place: str) -> int | None:
    """The rank of the products of one layer; None where both factors are whole.

    Raises:
        GraftworkError: one of its tensors is missing.
    """
    ranks = [
        len(down)
        for name in ("lokr_w1", "lokr_w2")
        if name not in found
        for _, down in [need(found, (f"{name}_a", f"{name}_b"), place)]
    ]
    return max(ranks, default=None)


def read(
    found: Mapping[str, Leaves],
    scales: Mapping[str, float],
    sites: Mapping[str, Site],
    file: str,
) -> Content:
    """A LoKr from the layers of a file.

    Raises:
        GraftworkError: no setting of graftwork's `lokr` makes factors of these shapes.
    """
    scale = next(iter(scales.values()))
    tensors = {
        site: _tensors(own, scales[site] / scale, f"{file}: '{site}'")
        for site, own in found.items()
    }
    ranks = [rank_of(own, f"{file}: '{site}'") or 0 for site, own in found.items()]
    for settings in _candidates(found, max(ranks)):
        more = {**settings, "alpha": alpha(scale, settings["rank"])}
        content = Content(method="lokr", settings=more, tensors=tensors)
        if fits(content, sites):
            return content
    site = next(iter(found))
    raise GraftworkError(
        f"{file}: no setting of lokr gives factors of these shapes at once (such as "
        f"{ {key: tuple(tensor.shape) for key, tensor in tensors[site].items()} } at '{site}'); "
        "merge it with the tool that wrote it"
    )


def _candidates(found: Mapping[str, Leaves], rank: int) -> list[dict[str, Any]]:
    """Settings worth a try: the factor is -1, or as the coarse factors have it."""
    small = [_shape(own, "lokr_w1") for own in found.values()]
    large = [_shape(own, "lokr_w2") for own in found.values()]
    # Both whole at every site: any rank that is too large to make a product.
    rank = rank or -(-max(chain.from_iterable(large)) // 2)
    both = any("lokr_w1_a" in own for own in found.values())
    factors = [-1, *sorted(set(chain.from_iterable(small)), reverse=True)]
    return [{"rank": rank, "factor": factor, "decompose_both": both} for factor in factors]


def _shape(found: Leaves, name: str) -> tuple[int, int]:
    if name in found:
        return found[name].shape[0], found[name].shape[1]
    axis = 1 if name == "lokr_w2" and "lokr_t2" in found else 0
    return found[f"{name}_a"].shape[axis], found[f"{name}_b"].shape[1]


def _tensors(found: Leaves, factor: float, place: str) -> dict[str, Tensor]:
    coarse = _read(found, "lokr_w1", "coarse", place)
    first = "coarse.up" if "coarse.up" in coarse else "coarse.down"
    coarse[first] = coarse[first] * factor
    return coarse | _read(found, "lokr_w2", "fine", place)


def _read(found: Leaves, theirs: str, ours: str, place: str) -> dict[str, Tensor]:
    if theirs in found:
        return {f"{ours}.down": found[theirs].flatten(1)}
    up, down = need(found, (f"{theirs}_a", f"{theirs}_b"), place)
    if theirs == "lokr_w2" and "lokr_t2" in found:
        up, down = up.T, tucker(found["lokr_t2"], down)
    return {f"{ours}.up": up, f"{ours}.down": down.flatten(1)}


def _named(theirs: str, own: Mapping[str, Tensor], ours: str) -> dict[str, Tensor]:
    if f"{ours}.up" not in own:
        return {theirs: own[f"{ours}.down"]}
    return {f"{theirs}_a": own[f"{ours}.up"], f"{theirs}_b": own[f"{ours}.down"]}


def _kernel(site: Site) -> tuple[int, ...]:
    return tuple(site.frozen().shape[2:])
