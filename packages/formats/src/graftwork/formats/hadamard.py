"""LoHa in files, the same names in PEFT and LyCORIS (Hyeon-Woo et al. 2022, arXiv:2108.06098).

    hada_w1_a (out, rank)   B1      hada_w1_b (rank, in * kernel)   A1
    hada_w2_a (out, rank)   B2      hada_w2_b (rank, in * kernel)   A2

The change is scale (B1 A1) * (B2 A2) by entries. In Tucker's form (read only), with `hada_t1`
and `hada_t2` (rank, rank, kernel), B is stored as (rank, out) and A as (rank, in).
"""

from collections.abc import Mapping

from torch import Tensor

from graftwork.formats.layers import Leaves, need, padded, tucker
from graftwork.nn import Site
from graftwork.nn.adapter import Adapter
from graftwork.nn.factors import alpha
from graftwork.nn.forms import Content

LEAVES = frozenset(
    {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2", "alpha"}
)


def leaves(adapter: Adapter, factor: float) -> dict[str, Tensor]:
    """The tensors of one layer, the change times `factor`, the scale left out."""
    own = {key: tensor.detach() for key, tensor in adapter.state_dict().items()}
    return {
        "hada_w1_a": own["first_up"] * factor,
        "hada_w1_b": own["first_down"],
        "hada_w2_a": own["second_up"],
        "hada_w2_b": own["second_down"],
    }


def rank_of(found: Leaves, place: str) -> int:
    """The rank of one layer.

    Raises:
        GraftworkError: one of its tensors is missing.
    """
    _, down, _, _ = _halves(found, place)
    return len(down)


def read(
    found: Mapping[str, Leaves],
    scales: Mapping[str, float],
    sites: Mapping[str, Site],
    file: str,
) -> Content:
    """A LoHa from the layers of a file; lower ranks are padded, other scales folded in.

    Raises:
        GraftworkError: a tensor is missing.
    """
    halves = {site: _halves(own, f"{file}: '{site}'") for site, own in found.items()}
    rank = max(len(down) for _, down, _, _ in halves.values())
    scale = next(iter(scales.values()))
    tensors = {
        site: {
            "first_up": padded(up * (scales[site] / scale), rank, 1),
            "first_down": padded(down, rank, 0),
            "second_up": padded(other_up, rank, 1),
            "second_down": padded(other_down, rank, 0),
        }
        for site, (up, down, other_up, other_down) in halves.items()
    }
    settings = {"rank": rank, "alpha": alpha(scale, rank)}
    return Content(method="loha", settings=settings, tensors=tensors)


def _halves(found: Leaves, place: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """B1, A1, B2, A2 as matrices."""
    names = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
    up, down, other_up, other_down = need(found, names, place)
    if "hada_t1" in found or "hada_t2" in found:
        first, second = need(found, ("hada_t1", "hada_t2"), place)
        return up.T, tucker(first, down), other_up.T, tucker(second, other_down)
    return up, down, other_up, other_down
