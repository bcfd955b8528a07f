"""Several grafts folded into the weights at once."""

from collections.abc import Sequence

import torch

from graftwork.core.errors import GraftworkError
from graftwork.nn import grafted
from graftwork.nn.adapter import Adapter
from graftwork.nn.handle import Graft
from graftwork.nn.merging import refuse_unmergeable


@torch.no_grad()
def merge_together(handles: Sequence[Graft]) -> None:
    """W becomes W + sum_k w_k (W'_k - W), with every W'_k from the W that there was; detaches all.

    One after the other is not the same where a method depends on the weight, as DoRA does.

    Raises:
        GraftworkError: they are not all on one model, or one of them cannot be merged or acts on
            one branch of guidance alone. Nothing has changed then.
    """
    if len({id(handle.model) for handle in handles}) != 1:
        raise GraftworkError("merge: give grafts of one model, at least one")
    for handle in handles:
        handle.refuse_branch("merge")
    acting = [(one.weight, adapter) for one in handles for adapter in one.sites.values()]
    methods = {id(adapter): one.method for one in handles for adapter in one.sites.values()}
    unmergeable = next((a for _, a in acting if not a.mergeable), acting[0][1])
    method = methods[id(unmergeable)]
    refuse_unmergeable(handles[0].model, method, [adapter for _, adapter in acting])
    by_layer: dict[int, list[tuple[float, Adapter]]] = {}
    for pair in acting:
        by_layer.setdefault(id(pair[1].site.layer), []).append(pair)
    for pairs in by_layer.values():
        site = pairs[0][1].site
        site.frozen().copy_(grafted.combined_weight(site, pairs))
    for handle in handles:
        handle.detach()
