"""`pytorch_lora_weights.safetensors`: low-rank factors by module, as diffusers lays them out.

The file has no place of its own for alpha. diffusers reads it from the metadata, and takes the
rank where there is none, so a file without metadata loads at another strength.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor, nn

from graftwork.backbones.diffusion import sgm
from graftwork.core import atomic
from graftwork.core.errors import GraftworkError
from graftwork.nn import tensorfile
from graftwork.nn.factors import Factors

NAME = "pytorch_lora_weights.safetensors"
PARTS = ("unet", "text_encoder")
_METADATA = "lora_adapter_metadata"
_LEAVES = {
    "lora_A.weight": "down",
    "lora_B.weight": "up",
    "lora_magnitude_vector": "magnitude",
    "lora_magnitude_vector.weight": "magnitude",
    "alpha": "alpha",
}
_KEY = re.compile(rf"(.+)\.({'|'.join(map(re.escape, _LEAVES))})")


def is_lora_file(path: Path) -> bool:
    """Whether the file, or the one in this folder, is in this layout or an older one."""
    if path.is_dir():
        return (path / NAME).is_file()
    if sgm.has_blocks(path):
        return True
    keys = tensorfile.keys(path)
    return any("lora" in key for key in keys) and all(key.split(".")[0] in PARTS for key in keys)


def write(
    path: Path, tensors: Mapping[str, Mapping[str, Tensor]], config: Mapping[str, Any]
) -> Path:
    """Write the keys and LoRA configuration of each part; returns the file.

    `path` is a folder, or a file whose name ends in .safetensors.
    """
    from diffusers import StableDiffusionPipeline

    file = path if path.suffix == ".safetensors" else path / NAME
    layers = {f"{part}_lora_layers": dict(keys) for part, keys in tensors.items()}
    metadata = {f"{part}_lora_adapter_metadata": dict(config[part]) for part in tensors}
    with TemporaryDirectory() as scratch:
        StableDiffusionPipeline.save_lora_weights(scratch, **layers, **metadata)
        atomic.write_bytes(file, (Path(scratch) / NAME).read_bytes())
    return file


def read(path: Path, model: nn.Module) -> dict[str, Factors]:
    """The layers of a file by module name of `model`.

    Raises:
        GraftworkError: the file is cut short, holds something else, or a tensor is missing,
            mis-shaped or not finite.
    """
    file = path / NAME if path.is_dir() else path
    tensors, metadata = tensorfile.read(file)
    if sgm.has_blocks(file):
        tensors = sgm.current_names(tensors, getattr(model.unet, "config", None), file)
    parts = [part for part in (*PARTS, "text_encoder_2") if hasattr(model, part)]
    _refuse_others(tensors, parts, file)
    layers: dict[str, Factors] = {}
    for part in parts:
        own = _without_prefix(part, tensors)
        if own:
            config = _without_prefix(part, _config(metadata, file))
            named = _grouped(_current_names(part, own), file)
            deep = hasattr(getattr(model, part), "text_model")
            for module, leaves in named.items():
                name = _module_name(part, module, deep=deep)
                layers[name] = _layer(module, leaves, config, file)
    if not layers:
        raise GraftworkError(f"{file}: holds no LoRA of a UNet or text encoder; give another file")
    return layers


def _refuse_others(tensors: Mapping[str, Tensor], parts: list[str], file: Path) -> None:
    for key in tensors:
        if key.split(".")[0] not in parts:
            raise GraftworkError(
                f"{file}: '{key}' belongs to no part of this model ({', '.join(parts)}); use it "
                "with the pipeline it was made for"
            )


def _config(metadata: Mapping[str, str], file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(metadata.get(_METADATA, "{}")))
    except (ValueError, TypeError) as error:
        raise GraftworkError(f"{file}: its metadata is damaged; copy the adapter again") from error


def _without_prefix(part: str, entries: Mapping[str, Any]) -> dict[str, Any]:
    start = f"{part}."
    return {key.removeprefix(start): v for key, v in entries.items() if key.startswith(start)}


def _current_names(part: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of older releases as those of today, by diffusers' own tables."""
    from diffusers.utils import (
        convert_state_dict_to_diffusers,
        convert_state_dict_to_peft,
        convert_unet_state_dict_to_peft,
    )

    if any(".lora_A." in key for key in tensors):
        return tensors
    if part == "unet":
        return dict(convert_unet_state_dict_to_peft(tensors))
    return dict(convert_state_dict_to_peft(convert_state_dict_to_diffusers(tensors)))


def _grouped(tensors: Mapping[str, Tensor], file: Path) -> dict[str, dict[str, Tensor]]:
    named: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise GraftworkError(
                f"{file}: '{key}' is no part of a LoRA or DoRA; load the file with diffusers"
            )
        named.setdefault(match[1], {})[_LEAVES[match[2]]] = tensor
    return named


def _module_name(part: str, module: str, *, deep: bool) -> str:
    """`deep` tells whether this text encoder has the level that the newest ones dropped."""
    if part != "unet":
        module = module.removeprefix("text_model.")
        module = f"text_model.{module}" if deep else module
    return f"{part}.{module}"


def _layer(
    module: str, leaves: Mapping[str, Tensor], config: Mapping[str, Any], file: Path
) -> Factors:
    for needed in ("down", "up"):
        if needed not in leaves:
            raise GraftworkError(f"{file}: '{module}' lacks one factor; copy the adapter again")
    down, up = leaves["down"].flatten(1), leaves["up"].flatten(1)
    if len(down) != up.shape[1]:
        raise GraftworkError(f"{file}: the factors of '{module}' differ in rank; save it again")
    magnitude = leaves.get("magnitude")
    return Factors(
        down=down,
        up=up,
        magnitude=None if magnitude is None else magnitude.flatten(),
        scale=_scale(module, len(down), leaves.get("alpha"), config),
    )


def _scale(module: str, rank: int, own_alpha: Tensor | None, config: Mapping[str, Any]) -> float:
    """alpha / rank, or alpha / sqrt(rank) when rank-stabilised; 1 when no alpha is known."""
    alpha = float(own_alpha) if own_alpha is not None else config.get("lora_alpha", rank)
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        if re.fullmatch(rf"(.*\.)?({pattern})", module):
            alpha = value
    return float(alpha) / (rank**0.5 if config.get("use_rslora") else rank)
