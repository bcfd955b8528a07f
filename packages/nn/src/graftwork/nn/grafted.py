"""How a layer carries adapters.

The layer's class is swapped for a subclass with two differences. Its weight is a property that
yields the effective weight, so whoever reads the weight sees the adapters: that is the
definition, and it holds for any layer. Its `forward` lets adapters with a fast path compute the
output without forming that weight. Parameters keep their names, so the backbone's own
`state_dict` keys stay as they were; the adapters' lie under `<layer>.grafts.<graft>.`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, reduce
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from graftwork.nn.adapter import Adapter, TokenAdapter, WeightAdapter
from graftwork.nn.product import product
from graftwork.nn.site import Site


@dataclass
class Switch:
    """The state that all adapters of one graft share."""

    weight: float = 1.0
    enabled: bool = True


class Member(nn.ModuleDict):
    """One graft's adapters on one layer, by the key of their site."""

    def __init__(self, switch: Switch) -> None:
        super().__init__()
        self.switch = switch
        self.hooks: list[RemovableHandle] = []


Acting = tuple[float, Adapter]


class Grafted:
    """Mixin of the swapped class; stands before the layer's own class."""

    grafted_from: type[nn.Module]
    grafts: nn.ModuleDict

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The layer's output with its active adapters."""
        if not isinstance(self, Grafted):  # detached, but a wrapper kept this bound method
            return type(self).forward(self, *args, **kwargs)
        acting = list(_acting(self))
        if not all(map(_in_forward, acting)) or not acting:
            return super().forward(*args, **kwargs)  # type: ignore[misc]
        (x,) = (*args, *kwargs.values())
        return _output(x, acting)


def attach(site: Site, graft: str, adapter: Adapter, switch: Switch) -> None:
    """Put an adapter on its site."""
    layer = site.layer
    if not isinstance(layer, Grafted):
        layer.__class__ = _grafted_class(type(layer), site.parameter)  # type: ignore[arg-type]
        layer.grafts = nn.ModuleDict()
    grafts: nn.ModuleDict = layer.grafts  # type: ignore[assignment]
    if graft not in grafts:
        grafts[graft] = Member(switch)
    member: Member = grafts[graft]  # type: ignore[assignment]
    member[site.key] = adapter
    if not isinstance(adapter, WeightAdapter):
        # torch's fused encoder layer reads weights and calls no layer, unless one has a hook.
        member.hooks.append(layer.register_forward_pre_hook(_no_op))


def remove(layer: nn.Module, graft: str) -> None:
    """Take a graft's adapters off a layer; the last one gives the layer its class back."""
    grafts: nn.ModuleDict = layer.grafts  # type: ignore[assignment]
    for hook in grafts[graft].hooks:  # type: ignore[union-attr]
        hook.remove()
    del grafts[graft]
    if not grafts:
        del layer.grafts
        layer.__class__ = layer.grafted_from  # type: ignore[assignment]


def _no_op(layer: nn.Module, args: Any) -> None: ...


def combined_weight(site: Site, acting: Iterable[Acting]) -> Tensor:
    """The layer's whole weight under the given adapters, in the layer's shape and dtype.

    With several adapters W' = W + sum_k w_k (effective_k(W) - W). The sum is formed in the
    widest dtype involved and cast once.
    """
    acting = list(acting)
    frozen = site.frozen()
    wide = reduce(torch.promote_types, (adapter.dtype for _, adapter in acting), frozen.dtype)
    whole = site.matrix(frozen).to(wide)
    with torch.autocast(frozen.device.type, enabled=False):  # the adapters' dtype is their own
        matrix = _by_part(whole, 0, acting, lambda rows, adapter: adapter.effective(rows))
    return site.shaped(matrix).to(frozen.dtype)


@cache
def _grafted_class(base: type[nn.Module], parameter: str) -> type[nn.Module]:
    def effective(layer: nn.Module) -> Tensor | None:
        weights = [pair for pair in _acting(layer) if isinstance(pair[1], WeightAdapter)]
        if not weights:
            return layer._parameters[parameter]
        try:
            return combined_weight(weights[0][1].site, weights)
        except AttributeError as error:
            # Python would take it for a missing property, and torch give the frozen weight.
            raise RuntimeError(f"{type(weights[0][1]).__name__}.effective: {error}") from error

    members = {"grafted_from": base, parameter: property(effective), "__doc__": base.__doc__}
    return type(f"Grafted{base.__name__}", (Grafted, base), members)


def _acting(layer: Any) -> Iterator[Acting]:
    """The weight and adapter of every enabled graft on a layer."""
    for member in layer.grafts.values():
        if member.switch.enabled and member.switch.weight != 0.0:
            for adapter in member.values():
                yield member.switch.weight, adapter


def _in_forward(pair: Acting) -> bool:
    """Whether an adapter sees the layer's input, so that it may compute the output."""
    return pair[1].site.observable


def _output(x: Tensor, acting: list[Acting]) -> Tensor:
    site = acting[0][1].site
    bias = site.layer._parameters.get("bias")
    adapters = [adapter for _, adapter in acting if isinstance(adapter, WeightAdapter)]
    if len(adapters) < len(acting):
        return _output_in_turn(x, acting, bias)
    if _stands_alone(acting):
        output = adapters[0].product(x, bias)
    elif any(adapter.has_fast_path() or adapter.drops() for adapter in adapters):
        return _output_in_turn(x, acting, bias)
    else:
        inputs = tuple(parameter for adapter in adapters for parameter in adapter.parameters())
        output = product(site, x, lambda: site.matrix(combined_weight(site, acting)), inputs, bias)
    return _without_padding_gradient(x, output, getattr(site.layer, "padding_idx", None))


def _stands_alone(acting: list[Acting]) -> bool:
    """Whether one adapter makes the layer's output, by `product`."""
    [(weight, adapter), *others] = acting
    if others or weight != 1.0 or adapter.site.part:
        return False
    return isinstance(adapter, WeightAdapter) and (
        adapter.has_product() or not adapter.has_forward()
    )


def _adds_to_output(adapter: Adapter) -> bool:
    return isinstance(adapter, WeightAdapter) and adapter.additive and adapter.has_forward()


def _output_in_turn(x: Tensor, acting: list[Acting], bias: Tensor | None) -> Tensor:
    """The frozen output, changed by one adapter after the other."""
    site = acting[0][1].site
    tokens = [pair for pair in acting if isinstance(pair[1], TokenAdapter)]
    others = [pair for pair in acting if not isinstance(pair[1], TokenAdapter)]
    # The bias rides along in W x only when every adapter merely adds to it.
    additive = all(_adds_to_output(adapter) for _, adapter in others)
    known = x.clamp(max=site.cols - 1) if tokens else x
    frozen = site.apply(known, site.matrix(site.frozen()), bias if additive else None)
    axis = 1 - site.frozen().dim() if site.kind.startswith("conv") else -1
    output = _by_part(frozen, axis, others, lambda part, adapter: adapter(known, part))
    if bias is not None and not additive:
        output = output + site.channels(bias).to(output.dtype)  # autocast: the weaker of the two
    output = _without_padding_gradient(x, output, getattr(site.layer, "padding_idx", None))
    for pair in tokens:  # in turn, for each replaces other rows
        output = _by_part(output, axis, [pair], lambda part, adapter: adapter(x, part))
    return output


def _without_padding_gradient(ids: Tensor, output: Tensor, padding: int | None) -> Tensor:
    # torch trains no embedding through its padding token, and neither do adapters.
    if padding is None:
        return output
    return torch.where((ids == padding).unsqueeze(-1), output.detach(), output)


def _by_part(
    whole: Tensor,
    axis: int,
    acting: Iterable[Acting],
    change: Callable[[Tensor, Any], Tensor],
) -> Tensor:
    """Apply every adapter's change to its own range of `whole` along the axis of rows."""
    pieces, cursor = [], 0
    ordered = sorted(acting, key=lambda pair: pair[1].site.start)
    for start, group in groupby(ordered, key=lambda pair: pair[1].site.start):
        members = list(group)
        rows = members[0][1].site.rows
        part = whole.narrow(axis, start, rows)
        if start > cursor:
            pieces.append(whole.narrow(axis, cursor, start - cursor))
        pieces.append(_mix(part, members, change))
        cursor = start + rows
    if cursor < whole.shape[axis]:
        pieces.append(whole.narrow(axis, cursor, whole.shape[axis] - cursor))
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, axis)


def _mix(part: Tensor, members: list[Acting], change: Callable[[Tensor, Any], Tensor]) -> Tensor:
    """part + sum_k w_k (change_k(part) - part); the change itself when it stands alone."""
    if len(members) == 1 and members[0][0] == 1.0:
        return change(part, members[0][1]).to(part.dtype)
    total = part
    for weight, adapter in members:
        total = total + weight * (change(part, adapter) - part).to(part.dtype)
    return total
