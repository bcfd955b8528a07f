"""What must hold before adapters may be folded into the weights under them."""

from collections import Counter
from collections.abc import Iterable

from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.nn.adapter import Adapter, TokenAdapter


def refuse_unmergeable(model: nn.Module, method: str, adapters: Iterable[Adapter]) -> None:
    """Raise `GraftworkError` for the first thing that speaks against merging these adapters."""
    adapters = list(adapters)
    uses = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    for adapter in adapters:
        _refuse_by_nature(adapter, method)
        _refuse_nan(adapter)
        if uses[id(adapter.site.frozen())] > 1:
            raise GraftworkError(
                f"{adapter.site.name}: its weight is shared with another layer, which a merge "
                "would change too; untie the two or keep the adapter beside the backbone"
            )
    ours = {id(adapter) for adapter in adapters}
    for adapter in adapters:
        _refuse_dependants(adapter, ours)


def _refuse_by_nature(adapter: Adapter, method: str) -> None:
    if not adapter.mergeable:
        tokens = isinstance(adapter, TokenAdapter)
        reason = "it adds tokens" if tokens else "its change depends on the layer's input"
        raise GraftworkError(
            f"{method} cannot be merged: {reason}; save it and load it beside the backbone"
        )


def _refuse_nan(adapter: Adapter) -> None:
    for key, tensor in adapter.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise GraftworkError(
                f"{adapter.site.name}.{key} holds NaN or infinity; load an earlier checkpoint"
            )


def _refuse_dependants(adapter: Adapter, ours: set[int]) -> None:
    """Refuse when an adapter of another graft is a function of the weight that would change."""
    grafts: nn.ModuleDict = adapter.site.layer.grafts  # type: ignore[assignment]
    for member in grafts.values():
        for other in member.values():  # type: ignore[operator]
            if id(other) not in ours and not getattr(other, "additive", False):
                raise GraftworkError(
                    f"{adapter.site.name}: another graft here depends on the weight that a merge "
                    "would change; merge or detach that one first"
                )
