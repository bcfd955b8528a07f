"""Grafts to and from the LoRA files of diffusers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graftwork.backbones.diffusion import lora_file
from graftwork.backbones.diffusion.lora_file import PARTS, Layer
from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, graft
from graftwork.nn.adapter import Adapter

_METHODS = ("lora", "dora")


class DiffusersFormat:
    """What `StableDiffusionPipeline.load_lora_weights` reads: LoRA and DoRA.

    A graft's weight is folded into B, so a file gives the pictures that the graft gave. DoRA has
    no such form, and is written at weight 1 only.
    """

    @staticmethod
    def detect(path: Path) -> bool:
        """Whether `path` is a file in this format, or a folder with one."""
        return lora_file.is_lora_file(path)

    def write(self, handle: Graft, path: Path) -> Path:
        """Write a graft to a folder (or a .safetensors file); returns the file.

        Raises:
            GraftworkError: the format has no place for the method, a site, or the weight.
        """
        _refuse_unfit(handle)
        tensors: dict[str, dict[str, Tensor]] = {}
        names: dict[str, list[str]] = {}
        for site, adapter in handle.sites.items():
            part, _, module = site.partition(".")
            _refuse_site(site, part, adapter)
            module = module.removeprefix("text_model.")
            # Older text encoders have this level and newer ones drop it, on loading too.
            prefix = "text_model." if part == "text_encoder" else ""
            names.setdefault(part, []).append(module)
            for leaf, tensor in _leaves(adapter, part, handle.weight).items():
                tensors.setdefault(part, {})[f"{prefix}{module}.{leaf}"] = tensor
        adapter = next(iter(handle.sites.values()))
        config = {part: _config(handle.method, adapter, modules) for part, modules in names.items()}
        return lora_file.write(path, tensors, config)

    def read(
        self, model: nn.Module, path: Path, *, name: str = "default", weight: float | None = None
    ) -> Graft:
        """Graft a file onto `model`, whose parts are `unet` and `text_encoder`.

        Modules of different ranks are padded to the largest with zeros, which changes nothing.

        Raises:
            GraftworkError: the file is damaged, or made for another model.
        """
        encoder = getattr(model, "text_encoder", None)
        layers = lora_file.read(path, text_model=hasattr(encoder, "text_model"))
        method = _method(layers, path)
        rank = max(layer.rank for layer in layers.values())
        first = next(iter(layers.values())).scale
        scale = first if first > 0 else 1.0
        try:
            handle = graft(
                model,
                method,
                {"rank": rank, "alpha": _plain(scale * rank)},
                sites=list(layers),
                name=name,
                weight=1.0 if weight is None else weight,
            )
        except GraftworkError as error:
            raise GraftworkError(f"{path}: {error}") from error
        return _filled(handle, layers, rank=rank, scale=scale, path=path)


def _refuse_unfit(handle: Graft) -> None:
    if handle.method not in _METHODS:
        raise GraftworkError(
            f"format 'diffusers': holds lora and dora, and {handle.method} is neither; keep "
            "graftwork's own files (`save`), or `merge` it and save the whole pipeline with "
            "`backbone.pipeline.save_pretrained`"
        )
    if handle.method == "dora" and handle.weight != 1.0:
        raise GraftworkError(
            f"format 'diffusers': holds dora at weight 1 only, not {handle.weight:g}; set the "
            "graft's weight to 1"
        )


def _refuse_site(site: str, part: str, adapter: Adapter) -> None:
    place = adapter.site
    if part not in PARTS:
        raise GraftworkError(
            f"format 'diffusers': '{site}' is in neither the UNet nor the text encoder; choose "
            "another format"
        )
    if place.kind not in ("linear", "conv2d") or place.part or place.groups > 1:
        raise GraftworkError(
            f"format 'diffusers': has no form for '{site}' ({place.kind}); leave it out of the "
            "sites, or keep graftwork's own files (`save`)"
        )


def _leaves(adapter: Adapter, part: str, weight: float) -> dict[str, Tensor]:
    """The adapter's tensors under the names and in the shapes of PEFT."""
    own = {name: tensor.detach().cpu() for name, tensor in adapter.state_dict().items()}
    site = adapter.site
    kernel = site.frozen().shape[2:]
    down = own["down"].view(-1, *site.frozen().shape[1:])
    up = (own["up"] * weight).view(*own["up"].shape, *(1 for _ in kernel))
    leaves = {"lora_A.weight": down, "lora_B.weight": up}
    if "magnitude" in own:
        shape = (1, -1, *(1 for _ in kernel)) if kernel else (-1,)
        # transformers finds the text encoder's under PEFT's full name only, diffusers the UNet's
        # under the short one that it writes itself.
        suffix = ".weight" if part == "text_encoder" else ""
        leaves[f"lora_magnitude_vector{suffix}"] = own["magnitude"].view(shape)
    return {name: tensor.contiguous() for name, tensor in leaves.items()}


def _config(method: str, adapter: Any, modules: list[str]) -> dict[str, Any]:
    """The fields of PEFT's LoraConfig that matter; alpha / r is the true scale in any case."""
    rank = len(adapter.down)
    return {
        "r": rank,
        "lora_alpha": _plain(adapter.scale * rank),
        "target_modules": modules,
        "rank_pattern": {},
        "alpha_pattern": {},
        "use_dora": method == "dora",
        "use_rslora": False,
    }


def _plain(value: float) -> int | float:
    """3.0000000000000004 -> 3: the rounding of alpha / rank * rank."""
    value = float(f"{value:.12g}")
    return int(value) if value.is_integer() else value


def _method(layers: Mapping[str, Layer], path: Path) -> str:
    with_magnitude = [name for name, layer in layers.items() if layer.magnitude is not None]
    if with_magnitude and len(with_magnitude) < len(layers):
        raise GraftworkError(
            f"{path}: holds LoRA and DoRA ('{with_magnitude[0]}') at once; load it with diffusers"
        )
    return "dora" if with_magnitude else "lora"


def _filled(
    handle: Graft, layers: Mapping[str, Layer], *, rank: int, scale: float, path: Path
) -> Graft:
    tensors: dict[str, Tensor] = {}
    for site, layer in layers.items():
        pad = rank - layer.rank
        up = layer.up if layer.scale == scale else layer.up * (layer.scale / scale)
        tensors[f"{site}.down"] = nn.functional.pad(layer.down, (0, 0, 0, pad))
        tensors[f"{site}.up"] = nn.functional.pad(up, (0, pad))
        if layer.magnitude is not None:
            tensors[f"{site}.magnitude"] = layer.magnitude
    try:
        with torch.no_grad():
            handle.load_state_dict(tensors)
    except GraftworkError as error:
        handle.detach()
        raise GraftworkError(f"{path}: made for another model ({error})") from error
    return handle
