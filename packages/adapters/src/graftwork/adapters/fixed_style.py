"""A LoRA in place of a StyleInject: the mixture of a mean style, for tools that know only LoRA.

With fixed weights s_i the change B sum_i s_i A_i x is a LoRA's with A = sum_i s_i A_i. What an
instance's own style would have changed is lost, and `fixed_style_error` measures it.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from graftwork.adapters.style_inject import StyleInject
from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, graft

Styles = Mapping[str, Tensor]
"""The weights (branches,) of every site by its name."""


@torch.no_grad()
def fixed_style(handle: Graft, styles: Styles | None = None) -> Graft:
    """Replace a StyleInject graft by the LoRA of the same name, weight and rank.

    Args:
        handle: the graft; it is taken off its model.
        styles: what `mean_styles` found. Left out, each site takes the softmax of its router's
            bias, the style of an input whose features average to zero, which is a poorer choice.

    Raises:
        GraftworkError: another method, the variant "variance", or a site without its styles. The
            model is then as it was.
    """
    adapters = _plain(handle)
    if styles is None:
        styles = {name: adapter.bias.softmax(0) for name, adapter in adapters.items()}
    tensors = {}
    for name, adapter in adapters.items():
        weights = _weights(styles, name, adapter)
        tensors[f"{name}.down"] = torch.einsum("n,nrc->rc", weights, adapter.down)
        tensors[f"{name}.up"] = adapter.up.clone()
    settings, dtype = handle.settings, next(handle.parameters()).dtype
    alpha = float(settings.rank) if settings.alpha is None else settings.alpha
    handle.detach()
    result = graft(
        handle.model,
        "lora",
        {"rank": settings.rank, "alpha": alpha},
        sites=list(adapters),
        name=handle.name,
        weight=handle.weight,
        dtype=dtype,
    )
    result.load_state_dict(tensors)
    result.branch = handle.branch
    return result


@torch.no_grad()
def mean_styles(handle: Graft, run: Callable[[], Any]) -> dict[str, Tensor]:
    """The mean style of every site over the instances that `run` shows the model.

    Args:
        handle: a StyleInject graft.
        run: calls the model on some typical inputs.

    Raises:
        GraftworkError: another method, or a site that `run` did not reach.
    """
    adapters = _style_inject(handle)
    sums = {name: torch.zeros_like(adapter.bias) for name, adapter in adapters.items()}
    counts = dict.fromkeys(adapters, 0)

    def note(name: str, adapter: StyleInject, x: Tensor) -> None:
        found = adapter.styles(x)
        sums[name].add_(found.sum(0))
        counts[name] += len(found)

    with _watched(adapters, note):
        run()
    for name, count in counts.items():
        if not count:
            raise GraftworkError(f"'{name}' was not run; show the model inputs that reach it")
    return {name: sums[name] / counts[name] for name in sums}


@torch.no_grad()
def fixed_style_error(handle: Graft, styles: Styles, run: Callable[[], Any]) -> float:
    """||dh - dh_fixed|| / ||dh|| over all sites and all inputs that `run` shows the model.

    Each site is given what the StyleInject model gives it, so errors do not add up from site to
    site. 0 where nothing changes at all.
    """
    adapters = _style_inject(handle)
    totals = torch.zeros(2, dtype=torch.float64)

    def note(name: str, adapter: StyleInject, x: Tensor) -> None:
        own = adapter.styles(x)
        fixed = _weights(styles, name, adapter).expand_as(own)
        changes = [adapter.site.up(adapter.hidden(x, each), adapter.up) for each in (own, fixed)]
        gap = changes[0] - changes[1]
        totals.add_(torch.tensor([float(gap.square().sum()), float(changes[0].square().sum())]))

    with _watched(adapters, note):
        run()
    lost, whole = totals.tolist()
    return (lost / whole) ** 0.5 if whole else 0.0


@contextlib.contextmanager
def _watched(
    adapters: Mapping[str, StyleInject], note: Callable[[str, StyleInject, Tensor], None]
) -> Iterator[None]:
    def hook(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda adapter, args: note(name, adapter, args[0])  # type: ignore[arg-type]

    hooks = [each.register_forward_pre_hook(hook(name)) for name, each in adapters.items()]
    try:
        yield
    finally:
        for one in hooks:
            one.remove()


def _style_inject(handle: Graft) -> dict[str, StyleInject]:
    found = {name: each for name, each in handle.sites.items() if isinstance(each, StyleInject)}
    if not found:
        raise GraftworkError(f"{handle.method} has no styles to fix; give a style-inject graft")
    return found


def _plain(handle: Graft) -> dict[str, StyleInject]:
    adapters = _style_inject(handle)
    if handle.settings.variant != "plain":
        raise GraftworkError(
            f"style-inject of variant '{handle.settings.variant}' multiplies the layer's features, "
            "which no LoRA does; train with variant = 'plain' for an export"
        )
    return adapters


def _weights(styles: Styles, name: str, adapter: StyleInject) -> Tensor:
    if name not in styles:
        raise GraftworkError(f"styles: '{name}' has none; take them from `mean_styles`")
    return styles[name].to(adapter.bias)
