"""Adapter files: `adapter.safetensors` for the weights, `adapter.json` for all the rest."""

import hashlib
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from graftwork.core import atomic, registry
from graftwork.core.config import as_dict
from graftwork.core.errors import GraftworkError, GraftworkWarning
from graftwork.core.records import FormatSpec
from graftwork.core.versions import environment
from graftwork.nn import grafting
from graftwork.nn.adapter import Adapter
from graftwork.nn.assigning import assign
from graftwork.nn.card import CARD, Card, SavedSite, read_card, write_card
from graftwork.nn.handle import Graft
from graftwork.nn.identity import fingerprint
from graftwork.nn.match import all_sites
from graftwork.nn.site import Site
from graftwork.nn.without_collector import without_collector

WEIGHTS = "adapter.safetensors"


def save_graft(handle: Graft, folder: Path) -> Path:
    """Write a graft to `folder`, whole or not at all; an older one there is replaced."""
    tensors = {key: t.detach().cpu().contiguous() for key, t in handle.state_dict().items()}
    weights = save(tensors)
    card = Card(
        method=handle.method,
        provider=handle.spec.provider,
        settings=as_dict(handle.settings),
        weight=handle.weight,
        branch=None if handle.branch == "both" else handle.branch,
        dtype=str(next(handle.parameters()).dtype).removeprefix("torch."),  # type: ignore[arg-type]
        sites={
            name: SavedSite(kind=a.site.kind, shape=(a.site.rows, a.site.cols))
            for name, a in handle.sites.items()
        },
        sha256=hashlib.sha256(weights).hexdigest(),
        backbone=fingerprint(handle.model),
        versions=environment(),
    )
    with atomic.folder(folder, replace=_holds_an_adapter(folder)) as target:
        (target / WEIGHTS).write_bytes(weights)
        write_card(target, card)
    return folder


def _holds_an_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and nothing else, so that a new one may replace it."""
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= {WEIGHTS, CARD}


@without_collector()
def load_graft(
    model: nn.Module,
    path: str | Path,
    *,
    name: str = "default",
    weight: float | None = None,
) -> Graft:
    """Put a saved adapter on a model.

    `path` is a folder that `Graft.save` wrote, or a file or folder in any format that an
    installed plugin reads. `weight` replaces the saved one.

    Raises:
        GraftworkError: the files are missing, cut short or altered; the method's plugin is not
            installed; a site is missing from the model or has another shape. The model is then
            as it was.
    """
    path = Path(path)
    if not (path / CARD).is_file():
        return _load_foreign(model, path, name=name, weight=weight)
    card = read_card(path)
    tensors = _read_weights(path, card)
    spec = _spec(card, path)
    settings = grafting.read_settings(spec, card.settings)
    grafting.check_name(model, name)
    sites = _matching_sites(model, card, path)
    adapters = grafting.blank(spec, sites, settings)
    for adapter in adapters.values():
        _fill(adapter, spec, tensors, card, path)
    _refuse_leftovers(tensors, path)
    if card.backbone != fingerprint(model):
        warnings.warn(
            f"{path}: trained on other weights of this architecture; check its results",
            GraftworkWarning,
            stacklevel=3,
        )
    weight = card.weight if weight is None else weight
    handle = grafting.assemble(model, spec, settings, adapters, name=name, weight=weight)
    handle.branch = card.branch or "both"
    return handle


def _read_weights(folder: Path, card: Card) -> dict[str, Tensor]:
    path = folder / WEIGHTS
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GraftworkError(f"{path}: cannot be read; copy the whole adapter folder") from error
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise GraftworkError(
            f"{path}: cut short or altered since it was saved (hash differs from {CARD}); "
            "copy the adapter again"
        )
    try:
        tensors = load(data)
    except SafetensorError as error:
        raise GraftworkError(f"{path}: not a safetensors file; copy the adapter again") from error
    _refuse_infinite(tensors, path)
    return tensors


def _refuse_infinite(tensors: Mapping[str, Tensor], path: Path) -> None:
    real = [t for t in tensors.values() if t.is_floating_point() and t.numel()]
    if get_total_norm(real, norm_type=math.inf).isfinite():  # far quicker than one by one
        return
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise GraftworkError(f"{path}: '{key}' holds NaN or infinity; use another checkpoint")


def _spec(card: Card, folder: Path) -> Any:
    try:
        return registry.find("adapters", card.method)
    except GraftworkError as error:
        provider = card.provider or "the plugin that provides it"
        raise GraftworkError(
            f"{folder / CARD}: method '{card.method}' is not installed; install {provider}"
        ) from error


def _matching_sites(model: nn.Module, card: Card, folder: Path) -> dict[str, Site]:
    sites = all_sites(model, norms=True)
    for name, saved in card.sites.items():
        if name not in sites:
            raise GraftworkError(
                f"{folder / CARD}: the model has no site '{name}'; load the backbone it was "
                "trained on"
            )
        shape = (sites[name].rows, sites[name].cols)
        if shape != saved.shape:
            raise GraftworkError(
                f"{folder / CARD}: site '{name}' is {shape[0]} x {shape[1]} in this model and "
                f"{saved.shape[0]} x {saved.shape[1]} in the file; load the backbone it "
                "was trained on"
            )
    return {name: sites[name] for name in card.sites}


def _fill(
    adapter: Adapter, spec: Any, tensors: dict[str, Tensor], card: Card, folder: Path
) -> None:
    """Give an adapter its saved values; the tensors are taken over."""
    site = adapter.site
    own: dict[str, Tensor] = {}
    for key, blank in adapter.state_dict().items():
        full = f"{site.name}.{key}"
        if full not in tensors:
            raise GraftworkError(f"{folder / WEIGHTS}: '{full}' is missing; save it again")
        own[key] = tensors.pop(full)
        if own[key].shape != blank.shape:
            raise GraftworkError(
                f"{folder / WEIGHTS}: '{full}' has shape {tuple(own[key].shape)}, its settings "
                f"ask for {tuple(blank.shape)}; save it again"
            )
    assign(adapter, own)
    for key, buffer in adapter.named_buffers():
        if buffer.is_meta:
            raise GraftworkError(
                f"{spec.name}: buffer '{key}' is not saved; the plugin has to register it as "
                "persistent"
            )
    grafting.place(adapter, site, getattr(torch, card.dtype))


def _refuse_leftovers(tensors: Mapping[str, Tensor], folder: Path) -> None:
    if tensors:
        raise GraftworkError(
            f"{folder / WEIGHTS}: '{min(tensors)}' belongs to no site in {CARD}; save it again"
        )


def _load_foreign(model: nn.Module, path: Path, *, name: str, weight: float | None) -> Graft:
    if not path.exists():
        raise GraftworkError(f"{path}: does not exist; give an adapter's folder or file")
    if path.name == WEIGHTS:
        raise GraftworkError(f"{path}: is half of an adapter; give the folder with its {CARD} too")
    for record in registry.records("formats"):
        if isinstance(record, FormatSpec) and record.reads and record.load().detect(path):
            return record.load()().read(model, path, name=name, weight=weight)
    raise GraftworkError(
        f"{path}: no {CARD} here, and no installed format reads it; `graftwork list formats`"
    )
