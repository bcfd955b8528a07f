"""Grafts to and from the LoRA files of diffusers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from graftwork.backbones.diffusion import lora_file
from graftwork.backbones.diffusion.lora_file import PARTS
from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, Site
from graftwork.nn.converting import SVDConfig, low_rank
from graftwork.nn.exporting import Export
from graftwork.nn.factors import Factors, graft_factors


class DiffusersFormat:
    """What `StableDiffusionPipeline.load_lora_weights` reads: LoRA and DoRA.

    A graft's weight is folded into B, so a file gives the pictures that the graft gave. DoRA has
    no such form, and is written at weight 1 only.
    """

    @staticmethod
    def detect(path: Path) -> bool:
        """Whether `path` is a file in this format, or a folder with one."""
        return lora_file.is_lora_file(path)

    def write(self, handle: Graft, path: Path, settings: SVDConfig) -> Export:
        """Write a graft to a folder, or to a .safetensors file.

        Raises:
            GraftworkError: the format has no place for the method, a site, or the weight.
        """
        found = low_rank(handle, settings, format="diffusers")
        tensors: dict[str, dict[str, Tensor]] = {}
        parts: dict[str, dict[str, Factors]] = {}
        for name, factors in found.factors.items():
            site = handle.sites[name].site
            part, _, module = name.partition(".")
            _refuse_site(site, part)
            module = module.removeprefix("text_model.")
            # Older text encoders have this level and newer ones drop it, on loading too.
            prefix = "text_model." if part == "text_encoder" else ""
            parts.setdefault(part, {})[module] = factors
            for leaf, tensor in _leaves(factors, site, part).items():
                tensors.setdefault(part, {})[f"{prefix}{module}.{leaf}"] = tensor
        config = {part: _config(layers) for part, layers in parts.items()}
        return Export(path=lora_file.write(path, tensors, config), error=found.error or None)

    def read(
        self, model: nn.Module, path: Path, *, name: str = "default", weight: float | None = None
    ) -> Graft:
        """Graft a file onto `model`, whose parts are `unet` and perhaps text encoders.

        Raises:
            GraftworkError: the file is damaged, or made for another model.
        """
        found = lora_file.read(path, model)
        return graft_factors(model, found, place=path, name=name, weight=weight)


def _refuse_site(site: Site, part: str) -> None:
    if part not in PARTS:
        raise GraftworkError(
            f"format 'diffusers': '{site.name}' is in neither the UNet nor the text encoder; "
            "choose another format"
        )
    if site.kind not in ("linear", "conv2d") or site.part or site.groups > 1:
        raise GraftworkError(
            f"format 'diffusers': has no form for '{site.name}' ({site.kind}); leave it out of the "
            "sites, or keep graftwork's own files (`save`)"
        )


def _leaves(factors: Factors, site: Site, part: str) -> dict[str, Tensor]:
    """The tensors under the names and in the shapes of PEFT."""
    kernel = site.frozen().shape[2:]
    down = factors.down.view(-1, *site.frozen().shape[1:])
    up = factors.up.view(*factors.up.shape, *(1 for _ in kernel))
    leaves = {"lora_A.weight": down, "lora_B.weight": up}
    if factors.magnitude is not None:
        shape = (1, -1, *(1 for _ in kernel)) if kernel else (-1,)
        # transformers finds the text encoder's under PEFT's full name only, diffusers the UNet's
        # under the short one that it writes itself.
        suffix = ".weight" if part == "text_encoder" else ""
        leaves[f"lora_magnitude_vector{suffix}"] = factors.magnitude.view(shape)
    return {name: tensor.cpu().contiguous() for name, tensor in leaves.items()}


def _config(layers: Mapping[str, Factors]) -> dict[str, Any]:
    """The fields of PEFT's LoraConfig that matter; alpha / r is the true scale in any case."""
    first = max(layers.values(), key=lambda one: one.rank)
    others = {name: one for name, one in layers.items() if one.rank != first.rank}
    return {
        "r": first.rank,
        "lora_alpha": first.alpha,
        "target_modules": list(layers),
        "rank_pattern": {name: one.rank for name, one in others.items()},
        "alpha_pattern": {name: one.alpha for name, one in others.items()},
        "use_dora": first.magnitude is not None,
        "use_rslora": False,
    }
