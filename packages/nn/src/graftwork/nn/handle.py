"""A graft: the adapters that sit on one model together, and what can be done with them."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError
from graftwork.core.records import AdapterSpec
from graftwork.nn import grafted
from graftwork.nn.adapter import Adapter, TokenAdapter
from graftwork.nn.grafted import Switch
from graftwork.nn.identity import backbone_parameters
from graftwork.nn.merging import refuse_unmergeable

_HOST = "_graftwork_host"

Branch = Literal["both", "positive", "negative"]


class Host:
    """What graftwork remembers about a model that carries grafts."""

    def __init__(self, parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
        self.grafts: dict[str, Graft] = {}
        self.trainable = {name for name, p in parameters if p.requires_grad}


class Graft:
    """The adapters that one call of `graft` put on a model, and what can be done with them."""

    def __init__(
        self,
        model: nn.Module,
        spec: AdapterSpec,
        settings: Any,
        adapters: Mapping[str, Adapter],
        *,
        name: str,
        weight: float,
    ) -> None:
        self.model = model
        self.spec = spec
        self.settings = settings
        self.sites = dict(adapters)
        """The adapter of every site, by the site's dotted name."""
        self.name = name
        self._branch: Branch = "both"
        self._switch = Switch(weight)
        host = _freeze(model)
        for adapter in self.sites.values():
            grafted.attach(adapter.site, name, adapter, self._switch)
        host.grafts[name] = self

    @property
    def method(self) -> str:
        """The adapter's registered name."""
        return self.spec.name

    @property
    def weight(self) -> float:
        """How strongly this graft acts: 0 not at all, 1 as trained."""
        return self._switch.weight

    @weight.setter
    def weight(self, value: float) -> None:
        self._switch.weight = float(value)

    @property
    def branch(self) -> Branch:
        """The branch of guidance that it acts on, which its files keep (`graftwork.nn.branches`).

        Setting it raises `GraftworkError` for another word, and for learned words.
        """
        return self._branch

    @branch.setter
    def branch(self, value: str) -> None:
        if value not in get_args(Branch):
            known = ", ".join(map(repr, get_args(Branch)))
            raise GraftworkError(f"branch: {value!r} is none; one of: {known}")
        if value != "both" and any(isinstance(a, TokenAdapter) for a in self.sites.values()):
            raise GraftworkError(
                "branch: learned words act in the prompts that they stand in; leave it out"
            )
        self._branch = cast(Branch, value)

    @property
    def enabled(self) -> bool:
        """Whether this graft acts: False inside `disabled()`."""
        return self._switch.enabled

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The trainable parameters, named `<site>.<parameter>`."""
        for name, adapter in self.sites.items():
            for key, parameter in adapter.named_parameters():
                yield f"{name}.{key}", parameter

    def parameters(self) -> Iterator[nn.Parameter]:
        """The trainable parameters."""
        return (parameter for _, parameter in self.named_parameters())

    def num_parameters(self) -> int:
        """How many numbers train."""
        return sum(parameter.numel() for parameter in self.parameters())

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers of all adapters, named `<site>.<key>`."""
        return {
            f"{name}.{key}": tensor
            for name, adapter in self.sites.items()
            for key, tensor in adapter.state_dict().items()
        }

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy values into the adapters. Every key must be there, and no other.

        Raises:
            GraftworkError: a key is missing or unknown, or a shape differs.
        """
        own = self.state_dict()
        for key in [*own.keys() - tensors.keys(), *tensors.keys() - own.keys()]:
            state = "missing from the weights" if key in own else "not a parameter of this graft"
            raise GraftworkError(f"{key}: {state}; load a file saved from the same settings")
        with torch.no_grad():
            for key, tensor in own.items():
                if tensor.shape != tensors[key].shape:
                    shapes = f"{tuple(tensors[key].shape)} instead of {tuple(tensor.shape)}"
                    raise GraftworkError(f"{key}: shape {shapes}; the settings differ")
                tensor.copy_(tensors[key])

    def train(self, mode: bool = True) -> None:
        """Switch the adapters alone between training and evaluation (dropout)."""
        for adapter in self.sites.values():
            adapter.train(mode)

    @contextlib.contextmanager
    def disabled(self) -> Iterator[None]:
        """The model without this graft, for the length of a `with` block."""
        before, self._switch.enabled = self._switch.enabled, False
        try:
            yield
        finally:
            self._switch.enabled = before

    def detach(self) -> None:
        """Take the adapters off. Without other grafts the model is bit for bit what it was."""
        self._require_attached()
        host = _host(self.model)
        for layer in {id(a.site.layer): a.site.layer for a in self.sites.values()}.values():
            grafted.remove(layer, self.name)
        del host.grafts[self.name]
        if not host.grafts:
            for name, parameter in backbone_parameters(self.model):
                parameter.requires_grad_(name in host.trainable)
            delattr(self.model, _HOST)

    @torch.no_grad()
    def merge(self) -> None:
        """Fold the adapters into the backbone's weights, with this graft's weight, and detach.

        The sum is formed in the wider of the two dtypes and rounded once to the layer's.

        Raises:
            GraftworkError: the method cannot be merged, an adapter holds NaN, a weight is shared
                with another layer, another graft depends on the weights that would change, or it
                acts on one branch of guidance alone.
        """
        self._require_attached()
        self.refuse_branch("merge")
        refuse_unmergeable(self.model, self.method, self.sites.values())
        by_layer: dict[int, list[Adapter]] = {}
        for adapter in self.sites.values():
            by_layer.setdefault(id(adapter.site.layer), []).append(adapter)
        for adapters in by_layer.values():  # layer by layer: never a second copy of the backbone
            site = adapters[0].site
            weighted = [(self.weight, adapter) for adapter in adapters]
            site.frozen().copy_(grafted.combined_weight(site, weighted))
        self.detach()

    def save(self, folder: str | Path) -> Path:
        """Write `adapter.safetensors` and `adapter.json`; `load_graft` reads them."""
        from graftwork.nn.files import save_graft

        return save_graft(self, Path(folder))

    def export(self, path: str | Path, *, format: str, **settings: Any) -> Path:
        """Write the adapters in another tool's format, by the `formats` hook; returns the file.

        `settings` are the format's own, such as `convert` and `rank`. What a conversion lost is
        told by `graftwork.nn.exporting.export`, which does the same.
        """
        from graftwork.nn.exporting import export

        return export(self, Path(path), format=format, settings=settings).path

    def refuse_branch(self, task: str) -> None:
        """Refuse a task, such as "merge", that would let it act on both branches of guidance.

        Raises:
            GraftworkError: it acts on one of them alone.
        """
        if self.branch != "both":
            raise GraftworkError(
                f"{task}: graft '{self.name}' acts on the {self.branch} branch of guidance alone, "
                "and weights act on both; keep it beside the backbone, or set its `branch` to "
                "'both' first"
            )

    def _require_attached(self) -> None:
        if grafts(self.model).get(self.name) is not self:
            raise GraftworkError(f"graft '{self.name}' is no longer on the model; graft again")


def grafts(model: nn.Module) -> dict[str, Graft]:
    """The grafts on a model, by name."""
    host = getattr(model, _HOST, None)
    return dict(host.grafts) if host else {}


@contextlib.contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """The backbone as it was, every graft disabled, for the length of a `with` block."""
    with contextlib.ExitStack() as stack:
        for handle in grafts(model).values():
            stack.enter_context(handle.disabled())
        yield


def _host(model: nn.Module) -> Host:
    return getattr(model, _HOST)


def _freeze(model: nn.Module) -> Host:
    if not hasattr(model, _HOST):
        parameters = backbone_parameters(model)
        setattr(model, _HOST, Host(parameters))
        for _, parameter in parameters:
            parameter.requires_grad_(False)
    return _host(model)
