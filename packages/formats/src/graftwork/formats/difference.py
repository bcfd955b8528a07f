"""Whole differences in single-file adapters.

    NAME.diff    the shape of the weight    W' - W
    NAME.diff_b  (out,)                     the bias's, of LyCORIS (read only, and zero)

The exact form of every method that can be merged, as large as the layers themselves.
"""

from collections.abc import Mapping

from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, Site
from graftwork.nn.approximating import changes

LEAVES = frozenset({"diff", "diff_b"})


def leaves(handle: Graft) -> dict[str, dict[str, Tensor]]:
    """The tensors of every site; the graft's weight is folded in.

    Raises:
        GraftworkError: the method changes no weight.
    """
    shaped = {name: handle.sites[name].site.shaped for name in handle.sites}
    return {name: {"diff": shaped[name](matrix)} for name, matrix in changes(handle).items()}


def read(found: Mapping[str, Tensor], site: Site, place: str) -> dict[str, Tensor]:
    """The parameters of graftwork's `full`.

    Raises:
        GraftworkError: the shape is another, or the bias changes too.
    """
    if "diff_b" in found and found["diff_b"].count_nonzero():
        raise GraftworkError(
            f"{place}: changes the layer's bias ('diff_b'), and graftwork's adapters change none; "
            "merge it with LyCORIS"
        )
    if "diff" not in found or found["diff"].shape != site.frozen().shape:
        raise GraftworkError(f"{place}: 'diff' has not the layer's shape; it is for another model")
    return {"difference": site.matrix(found["diff"])}
