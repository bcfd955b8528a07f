"""LoRA files with the block names of Stable Diffusion XL's own code, in the names of diffusers.

kohya's scripts name SDXL's layers so: `lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q`.
The tables of names are diffusers' own; alpha is folded into B, where they cannot lose it.
"""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from graftwork.core.errors import GraftworkError, one_line
from graftwork.nn import tensorfile

_BLOCKS = re.compile(r"lora_unet_(input_blocks|middle_block|output_blocks)_")
_DOWN, _UP = ".lora_down.weight", ".lora_up.weight"


def has_blocks(path: Path) -> bool:
    """Whether a file names its layers by these blocks."""
    return any(_BLOCKS.match(key) for key in tensorfile.keys(path))


def current_names(tensors: dict[str, Tensor], unet_config: Any, file: Path) -> dict[str, Tensor]:
    """The same layers as `unet....lora_A.weight` and so on, at a scale of 1.

    Raises:
        GraftworkError: the file holds something else than LoRA, or layers that are not known.
    """
    from diffusers.loaders.lora_conversion_utils import (
        _convert_non_diffusers_lora_to_diffusers,
        _maybe_map_sgm_blocks_to_diffusers,
    )

    plain = _without_alpha(tensors, file)
    try:
        mapped = _maybe_map_sgm_blocks_to_diffusers(plain, unet_config)
        converted, _ = _convert_non_diffusers_lora_to_diffusers(mapped)
    except (ValueError, KeyError, IndexError) as error:
        raise GraftworkError(
            f"{file}: diffusers cannot tell its layers ({one_line(error)[:160]}); check that the "
            "UNet is the one it was made for"
        ) from error
    return dict(converted)


def _without_alpha(tensors: dict[str, Tensor], file: Path) -> dict[str, Tensor]:
    found = {}
    for key, tensor in tensors.items():
        name, _, leaf = key.partition(".")
        if leaf not in ("lora_down.weight", "lora_up.weight", "alpha"):
            raise GraftworkError(
                f"{file}: '{key}' is no part of a LoRA; with these names nothing else is read"
            )
        if leaf == "lora_up.weight" and f"{name}{_DOWN}" in tensors:
            rank = len(tensors[f"{name}{_DOWN}"])
            alpha = tensors.get(f"{name}.alpha")
            found[key] = tensor if alpha is None else tensor * (float(alpha) / rank)
        elif leaf != "alpha":
            found[key] = tensor
    return found
