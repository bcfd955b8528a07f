"""A layer of PEFT's that carries adapters of graftwork."""

import dataclasses
import functools
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from torch import Tensor, nn

from graftwork.nn import Site
from graftwork.nn.adapter import Adapter, WeightAdapter

PREFIX = "graftwork_"


class GraftworkLayer(nn.Module, BaseTunerLayer):
    """A frozen layer and, by PEFT's adapter name, the adapters on it.

    Several at once combine as grafts do: W' = W + sum_k (effective_k(W) - W).
    """

    adapter_layer_names = ("graftwork_adapters",)
    other_param_names = ()

    def __init__(self, base_layer: nn.Module, site: Site) -> None:
        super().__init__()
        self.base_layer = base_layer
        # A packed projection is one weight here.
        self.site = dataclasses.replace(site, parts={}, start=0, rows=0)
        self.graftwork_adapters = nn.ModuleDict()
        self.merged_adapters: list[str] = []
        self._unmerged: Tensor | None = None

    def add(self, name: str, cls: Any, settings: Any) -> None:
        """Put one more adapter on the layer; PEFT calls it by `name`."""
        weight = self.site.weight().detach()
        adapter: Any = cls(self.site, settings)
        adapter.to(device=weight.device, dtype=torch.float32)
        if cls.start is not Adapter.start and not any(p.is_meta for p in adapter.parameters()):
            adapter.start(weight.to(torch.promote_types(weight.dtype, torch.float32)))
        self.graftwork_adapters[name] = adapter.train(self.training)
        BaseTunerLayer.set_adapter(self, self.active_adapters)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The base layer's output, changed by the active adapters."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        active: Any = self.active_adapters
        acting = self._acting(active)
        if self.disable_adapters or self.merged or not acting:
            output: Tensor = self.base_layer(x, *args, **kwargs)
            return output
        [first, *others] = acting
        if not others and (first.has_product() or not first.has_forward()):
            return first.product(x, self.site.bias)
        frozen = self.site.apply(x, self.site.weight())
        change = functools.reduce(
            lambda total, adapter: total + (adapter(x, frozen) - frozen), acting, frozen
        )
        bias = self.site.bias
        return change if bias is None else change + self.site.channels(bias).to(change.dtype)

    @torch.no_grad()
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Fold adapters into the base layer's weight.

        Raises:
            ValueError: with `safe_merge`, the merged weight would hold NaN or infinity.
        """
        names = check_adapters_to_merge(self, adapter_names)
        acting = self._acting(names)
        if not acting:
            return
        frozen = self.site.frozen()
        if self._unmerged is None:
            self._unmerged = frozen.detach().clone()
        wide = functools.reduce(torch.promote_types, (a.dtype for a in acting), frozen.dtype)
        weight = self.site.matrix(self._unmerged).to(wide)
        total = self.site.matrix(frozen).to(wide)
        for adapter in acting:
            total = total + (adapter.effective(weight) - weight)
        if safe_merge and not total.isfinite().all():
            raise ValueError(f"NaN or infinity in the merged weight; {', '.join(names)} is broken")
        frozen.data.copy_(self.site.shaped(total))
        self.merged_adapters.extend(names)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Give the base layer its weight back, bit for bit."""
        if self._unmerged is not None:
            self.site.frozen().data.copy_(self._unmerged)
        self._unmerged = None
        self.merged_adapters.clear()

    def _acting(self, names: list[str]) -> list[WeightAdapter]:
        held: Any = self.graftwork_adapters
        return [held[name] for name in names if name in held]
