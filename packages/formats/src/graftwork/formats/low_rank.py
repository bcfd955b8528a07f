"""LoRA and DoRA in single-file adapters.

    NAME.lora_down.weight  (rank, in[, kernel])     A
    NAME.lora_up.weight    (out, rank[, 1, 1])      B
    NAME.lora_mid.weight   (rank, rank, kernel)     the kernel, where A is 1x1 (read only)
    NAME.alpha             ()                       scale * rank; absent for a scale of 1
    NAME.dora_scale        (out, 1[, 1, 1])         m

The change is (alpha / rank) B A. LyCORIS can also scale DoRA by input columns, (1, in[, 1, 1]).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.formats.layers import tucker
from graftwork.nn import Site
from graftwork.nn.factors import Factors

LEAVES = frozenset({"lora_down.weight", "lora_up.weight", "lora_mid.weight", "alpha", "dora_scale"})


def leaves(factors: Factors, site: Site) -> dict[str, Tensor]:
    """The tensors of one layer."""
    kernel = site.frozen().shape[2:]
    ones = (1,) * len(kernel)
    found = {
        "lora_down.weight": factors.down.view(-1, *site.frozen().shape[1:]),
        "lora_up.weight": factors.up.view(*factors.up.shape, *ones),
        "alpha": torch.tensor(float(factors.alpha)),
    }
    if factors.magnitude is not None:
        found["dora_scale"] = factors.magnitude.view(-1, 1, *ones)
    return found


def read(found: Mapping[str, Tensor], place: str) -> Factors:
    """The factors of one layer.

    Raises:
        GraftworkError: one is missing, the ranks differ, or DoRA's scale is by columns.
    """
    for needed in ("lora_down.weight", "lora_up.weight"):
        if needed not in found:
            raise GraftworkError(f"{place}: '{needed}' is missing; copy the adapter again")
    down, up = found["lora_down.weight"], found["lora_up.weight"].flatten(1)
    if "lora_mid.weight" in found:
        down = tucker(found["lora_mid.weight"], down.flatten(1))
    down = down.flatten(1)
    if len(down) != up.shape[1]:
        raise GraftworkError(f"{place}: the factors differ in rank; save it again")
    return Factors(
        down=down,
        up=up,
        scale=scale(found.get("alpha"), len(down)),
        magnitude=_magnitude(found.get("dora_scale"), len(up), place),
    )


def scale(alpha: Tensor | None, rank: int) -> float:
    """alpha / rank; 1 where no alpha is stored, or 0 as LyCORIS has it."""
    value = float(alpha) if alpha is not None else 0.0
    return value / rank if value else 1.0


def _magnitude(tensor: Tensor | None, rows: int, place: str) -> Tensor | None:
    if tensor is None:
        return None
    if tensor.shape[0] != rows or tensor.numel() != rows:
        raise GraftworkError(
            f"{place}: 'dora_scale' of shape {tuple(tensor.shape)} is a length for each input "
            "column, which graftwork's dora has not; load the file with LyCORIS"
        )
    return tensor.flatten()
