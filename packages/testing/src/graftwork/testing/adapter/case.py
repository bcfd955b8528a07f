"""A toy model with the adapter under test on it, and the helpers that the checks share."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from graftwork.core.config import parse
from graftwork.nn import Graft, graft
from graftwork.nn.adapter import Adapter
from graftwork.testing.adapter.toys import TOYS, Toy
from graftwork.testing.plugins import PluginSuite


@dataclass(frozen=True, kw_only=True)
class Case:
    """A grafted toy beside the same toy without the graft."""

    toy: Toy
    plain: nn.Module
    model: nn.Module
    handle: Graft
    x: Tensor

    def output(self) -> Tensor:
        """The adapted output."""
        return self.model(self.x)

    def frozen_output(self) -> Tensor:
        """The output of the toy without the graft."""
        return self.plain(self.x)

    def gradients(self, output: Tensor) -> dict[str, Tensor]:
        """Gradients of a fixed random projection of `output`, by parameter and for "input"."""
        named: dict[str, Tensor] = dict(self.handle.named_parameters())
        if self.x.requires_grad:
            named["input"] = self.x
        found = torch.autograd.grad(projection(output), list(named.values()), allow_unused=True)
        blank = (torch.zeros_like(tensor) for tensor in named.values())
        return {
            name: zero if gradient is None else gradient
            for (name, zero, gradient) in zip(named, blank, found, strict=True)
        }


class AdapterCases(PluginSuite):
    """What an `AdapterSuite` declares, and how it makes its cases."""

    kind = "adapters"
    base = Adapter

    unsupported: ClassVar[Mapping[str, str]] = {}
    """Kinds of site that the adapter refuses with a `GraftworkError`, each with the reason:
    "linear", "conv1d", "conv2d", "conv3d", "embedding", "packed", "attention"."""

    @property
    def is_weight(self) -> bool:
        """Whether the adapter is a function of the weight."""
        return getattr(self.record, "family", "weight") == "weight"

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run checks that take a `toy` on every toy that the adapter supports."""
        if "toy" in metafunc.fixturenames:
            toys = self.toys(only=getattr(metafunc.function, "toys", None))
            metafunc.parametrize("toy", toys, ids=[toy.name for toy in toys])

    def toys(self, only: Iterable[str] | None = None) -> list[Toy]:
        """The toys whose sites the adapter supports, or those of them with the names given."""
        toys = [toy for toy in TOYS if toy.kind not in self.unsupported]
        if not self.is_weight:
            toys = [toy for toy in toys if toy.observable]
        return [toy for toy in toys if only is None or toy.name in only] or toys[:1]

    def fitted(self, toy: Toy, **changes: Any) -> Any:
        """The suite's settings with a rank that the toy's sites can have."""
        settings = {**self.settings, **changes}
        cls = self.record.settings_class()
        parsed: Any = parse(cls, settings, self.name)
        if "rank" in self.setting_names() and parsed.rank is not None:
            settings["rank"] = min(parsed.rank, toy.largest_rank)
        return parse(cls, settings, self.name)

    def case(
        self,
        toy: Toy,
        *,
        dtype: torch.dtype = torch.float64,
        adapter_dtype: torch.dtype = torch.float64,
        shaken: bool = True,
        **changes: Any,
    ) -> Case:
        """A toy grafted with the adapter, by default with random values as if trained."""
        model = toy.model(dtype)
        plain = copy.deepcopy(model).requires_grad_(False)
        handle = self.graft(model, toy, dtype=adapter_dtype, **changes)
        if shaken:
            shake(handle)
        x = toy.input(dtype).requires_grad_(not toy.tokens)
        return Case(toy=toy, plain=plain, model=model, handle=handle, x=x)

    def graft(self, model: nn.Module, toy: Toy, *, seed: int = 0, **options: Any) -> Graft:
        """Graft the adapter on every site of a toy; other options than graft's are settings."""
        own = {key: options.pop(key) for key in _OPTIONS & options.keys()}
        settings = self.fitted(toy, **options)
        return graft(model, self.name, settings, seed=seed, **{"sites": "*", **own})


_OPTIONS = {"sites", "name", "weight", "dtype"}  # of `graft`; the others are settings


def only(*names: str) -> Any:
    """Run a check on some toys instead of all."""

    def mark(check: Any) -> Any:
        check.toys = names
        return check

    return mark


def shake(handle: Graft, *, seed: int = 3, size: float = 0.3) -> None:
    """Add normal noise to every trainable parameter, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in handle.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(size * noise.to(parameter.dtype))


def projection(output: Tensor) -> Tensor:
    """A scalar that depends on every element of an output."""
    generator = torch.Generator().manual_seed(5)
    weights = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    return (output * weights.to(output.dtype)).sum()


def defined_output(case: Case, handles: Iterable[Graft] | None = None) -> Tensor:
    """What the definition says: the plain toy with W + sum_k w_k (effective_k(W) - W) for W."""
    weights: dict[str, Tensor] = dict(case.plain.named_parameters())
    layers = {id(module): name for name, module in case.model.named_modules()}
    for handle in handles or [case.handle]:
        for adapter in handle.sites.values():
            name = f"{layers[id(adapter.site.layer)]}.{adapter.site.parameter}"
            change = handle.weight * _change(adapter, case.plain.get_parameter(name))
            weights[name] = weights[name] + change
    return torch.func.functional_call(case.plain, weights, (case.x,))


def _change(adapter: Any, frozen: Tensor) -> Tensor:
    """effective(W) - W in the layer's own shape, zero outside the adapter's rows."""
    site = adapter.site
    whole = frozen.T if site.kind == "embedding" else frozen.flatten(1)
    rows = whole[site.start : site.start + site.rows]
    after = len(whole) - site.start - site.rows
    change = torch.nn.functional.pad(adapter.effective(rows) - rows, (0, 0, site.start, after))
    return change.T if site.kind == "embedding" else change.reshape(frozen.shape)
