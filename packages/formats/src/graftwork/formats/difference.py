"""Whole differences in single-file adapters.

    NAME.diff    the shape of the weight    W' - W
    NAME.diff_b  (out,)                     the bias's, of LyCORIS (read only, and zero)

The exact form of every method that can be merged, as large as the layers themselves.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.formats import packed
from graftwork.nn import Graft, Site
from graftwork.nn.approximating import changes

LEAVES = frozenset({"diff", "diff_b"})


def leaves(handle: Graft) -> dict[str, dict[str, Tensor]]:
    """The tensors of every layer; the graft's weight is folded in.

    Raises:
        GraftworkError: the method changes no weight.
    """
    found = changes(handle)
    layers = packed.by_layer(adapter.site for adapter in handle.sites.values())
    return {
        name: {"diff": own[0].shaped(_joined(own, [found[site.name] for site in own]))}
        for name, own in layers.items()
    }


def read(
    found: Mapping[str, Tensor], sites: Sequence[Site], place: str
) -> dict[str, dict[str, Tensor]]:
    """The parameters of graftwork's `full` at the sites of one layer.

    Raises:
        GraftworkError: the shape is another, or the bias changes too.
    """
    if "diff_b" in found and found["diff_b"].count_nonzero():
        raise GraftworkError(
            f"{place}: changes the layer's bias ('diff_b'), and graftwork's adapters change none; "
            "merge it with LyCORIS"
        )
    first = sites[0]
    if "diff" not in found or found["diff"].shape != first.frozen().shape:
        raise GraftworkError(f"{place}: 'diff' has not the layer's shape; it is for another model")
    matrix = first.matrix(found["diff"])
    return {site.name: {"difference": matrix.narrow(0, site.start, site.rows)} for site in sites}


def _joined(sites: Sequence[Site], changes: Sequence[Tensor]) -> Tensor:
    return packed.stacked(sites, changes, 0.0) if sites[0].part else changes[0]
