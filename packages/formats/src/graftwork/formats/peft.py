"""The format of PEFT: a folder with adapter_config.json and adapter_model.safetensors."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graftwork.core import atomic
from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.formats import peft_config, peft_lora, peft_names
from graftwork.formats.peft_config import CONFIG
from graftwork.formats.peft_forms import all_forms, refuse_attention
from graftwork.nn import Graft, Site, tensorfile
from graftwork.nn.adapter import Adapter
from graftwork.nn.converting import SVDConfig, low_rank
from graftwork.nn.exporting import Export
from graftwork.nn.factors import graft_factors
from graftwork.nn.filling import graft_tensors
from graftwork.nn.forms import Form, Held

WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_BASE = "base_layer.weight"


@config
class PeftConfig(SVDConfig):
    """Settings of the format."""

    part: str = ""
    """The part of the model that PEFT is to be put on, such as "unet": names begin below it, and
    what lies elsewhere is left out. Empty for the whole model."""


class PeftFormat:
    """What `PeftModel.from_pretrained` reads: LoRA, DoRA, LoHa, LoKr, OFT of the input side, and
    the methods whose plugins bring a form for it (`graftwork.nn.forms`).

    A graft's weight is folded in, but for DoRA and OFT, which must be at 1.
    """

    @staticmethod
    def detect(path: Path) -> bool:
        """Whether `path` is a folder with both files."""
        return (path / CONFIG).is_file() and (path / WEIGHTS).is_file()

    def write(self, handle: Graft, path: Path, settings: PeftConfig) -> Export:
        """Write a graft to a folder; returns it.

        Raises:
            GraftworkError: the format has no place for the method, a site, or the weight.
        """
        adapters = _within(handle, settings.part)
        form = None if settings.convert else all_forms().get(handle.method)
        if form is None:
            held, error = _low_rank(handle, settings, adapters)
        else:
            held, error = _formed(form, handle, settings, adapters), None
        tensors = {
            f"{_PREFIX}{module}.{leaf}": tensor
            for module, leaves in held.layers.items()
            for leaf, tensor in leaves.items()
        }
        document = peft_config.document(held.fields, held.layers)
        with atomic.folder(path) as target:
            tensorfile.write(target / WEIGHTS, tensors, {"format": "pt"})
            (target / CONFIG).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        return Export(path=path, error=error)

    def read(
        self, model: nn.Module, path: Path, *, name: str = "default", weight: float | None = None
    ) -> Graft:
        """Graft a folder onto `model`, or onto the one part of it that has all the modules.

        Raises:
            GraftworkError: the files are damaged, made for another model, or hold something else.
        """
        fields = peft_config.read(path / CONFIG)
        form = _form(fields, path)
        found = _layers(path / WEIGHTS, form, str(fields["peft_type"]).lower())
        sites = peft_names.sites(model, found, path)
        _refuse_other_base(found, sites, path)
        if form is None:
            factors = peft_lora.read(found, sites, fields, str(path))
            return graft_factors(model, factors, place=path, name=name, weight=weight)
        single = {module: own[0] for module, own in sites.items()}
        for site in single.values():
            refuse_attention(site)
        content = form.read(Held(layers=found, fields=fields), single, str(path))
        tensors = {single[module].name: own for module, own in content.tensors.items()}
        return graft_tensors(
            model,
            content.method,
            content.settings,
            tensors,
            place=path,
            name=name,
            weight=weight,
        )


def _within(handle: Graft, part: str) -> dict[str, Adapter]:
    """The adapters in a part of the model, by site."""
    start = f"{part}." if part else ""
    adapters = {site: one for site, one in handle.sites.items() if site.startswith(start)}
    if not adapters:
        raise GraftworkError(f"part: no site of this adapter lies in '{part}'; leave it out")
    return adapters


def _formed(
    form: Form, handle: Graft, settings: PeftConfig, adapters: Mapping[str, Adapter]
) -> Held:
    """What a form makes of a graft."""
    for adapter in adapters.values():
        refuse_attention(adapter.site)
    named = {peft_names.module(one.site, settings.part): one for one in adapters.values()}
    held = form.write(handle, named)
    return Held(layers=held.layers, fields={"peft_type": form.kind, **held.fields})


def _low_rank(
    handle: Graft, settings: PeftConfig, adapters: Mapping[str, Adapter]
) -> tuple[Held, float | None]:
    """A LoRA or DoRA, or the LoRA that a conversion makes of another method, and its error."""
    holds = ", ".join(["lora", "dora", *all_forms()])
    found = low_rank(handle, settings, format="peft", holds=holds)
    sites = [adapter.site for adapter in adapters.values()]
    return peft_lora.held(found.factors, sites, settings.part), found.error or None


def _form(fields: Mapping[str, Any], path: Path) -> Form | None:
    """Who reads a method of PEFT; None for LoRA, which is read here."""
    kind = fields["peft_type"]
    form = {form.kind: form for form in all_forms().values()}.get(kind)
    if form is None and kind != peft_lora.KIND:
        raise GraftworkError(
            f"{path / CONFIG}: peft_type {kind} is not read here; merge it with PEFT, or use the "
            "plugin graftwork-peft"
        )
    return form


def _layers(file: Path, form: Form | None, method: str) -> dict[str, dict[str, Tensor]]:
    """The leaves of every module; a key that the method does not have is refused by name."""
    known = peft_lora.LEAVES | {_BASE} if form is None else form.leaves
    tensors, _ = tensorfile.read(file)
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        path = key.removeprefix(_PREFIX)
        leaf = next((leaf for leaf in known if path.endswith(f".{leaf}")), None)
        if leaf is None:
            raise GraftworkError(
                f"{file}: '{key}' is no part of {method} that graftwork reads; merge it with PEFT"
            )
        found.setdefault(path.removesuffix(f".{leaf}"), {})[leaf] = tensor
    return found


def _refuse_other_base(
    found: Mapping[str, dict[str, Tensor]], sites: Mapping[str, tuple[Site, ...]], path: Path
) -> None:
    """Drop the base weights that PEFT saves with embeddings, if they are the model's own."""
    for module, leaves in found.items():
        base = leaves.pop(_BASE, None)
        if base is not None and not torch.equal(base, sites[module][0].frozen().to(base)):
            raise GraftworkError(
                f"{path}: holds other base weights for '{module}' than the model has; load the "
                "backbone it was made for"
            )
