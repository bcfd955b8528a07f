"""LoRA and DoRA in PEFT's files.

    lora_A.weight            (rank, in[, kernel])   A      lora_embedding_A  (rank, vocabulary)
    lora_B.weight            (out, rank[, 1, 1])    B      lora_embedding_B  (dimensions, rank)
    lora_magnitude_vector    (out,) or (1, out, 1, 1)   m of DoRA

The scale is lora_alpha / r, or lora_alpha / sqrt(r) with use_rslora; both may differ by module.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.formats.layers import Leaves, need
from graftwork.formats.peft_config import at
from graftwork.nn import Site
from graftwork.nn.factors import Factors

LEAVES = frozenset(
    {
        *("lora_A.weight", "lora_B.weight", "lora_embedding_A", "lora_embedding_B"),
        *("lora_magnitude_vector", "lora_magnitude_vector.weight"),
    }
)


def fields(layers: Mapping[str, Factors]) -> dict[str, Any]:
    """The method's part of the configuration, for layers by module."""
    first = max(layers.values(), key=lambda one: one.rank)
    others = {name: one for name, one in layers.items() if one.rank != first.rank}
    pattern = {f"^{name}".replace(".", r"\."): one for name, one in others.items()}
    return {
        "peft_type": "LORA",
        "r": first.rank,
        "lora_alpha": first.alpha,
        "lora_dropout": 0.0,
        "use_dora": first.magnitude is not None,
        "use_rslora": False,
        "bias": "none",
        "fan_in_fan_out": False,
        "rank_pattern": {name: one.rank for name, one in pattern.items()},
        "alpha_pattern": {name: one.alpha for name, one in pattern.items()},
    }


def leaves(factors: Factors, site: Site) -> dict[str, Tensor]:
    """The tensors of one layer.

    Raises:
        GraftworkError: PEFT computes something else on such a layer.
    """
    _refuse(site, dora=factors.magnitude is not None)
    if site.kind == "embedding":
        return {"lora_embedding_A": factors.down, "lora_embedding_B": factors.up}
    ones = (1,) * (site.frozen().dim() - 2)
    found = {
        "lora_A.weight": factors.down.view(-1, *site.frozen().shape[1:]),
        "lora_B.weight": factors.up.view(*factors.up.shape, *ones),
    }
    if factors.magnitude is not None:
        shape = (1, -1, *ones) if ones else (-1,)
        found["lora_magnitude_vector"] = factors.magnitude.view(shape)
    return found


def read(found: Leaves, module: str, site: Site, config: Mapping[str, Any], place: str) -> Factors:
    """The factors of one layer.

    Raises:
        GraftworkError: one is missing, or PEFT computes something else on such a layer.
    """
    embedded = "lora_embedding_A" in found
    names = (
        ("lora_embedding_A", "lora_embedding_B") if embedded else ("lora_A.weight", "lora_B.weight")
    )
    down, up = (tensor.flatten(1) for tensor in need(found, names, place))
    if len(down) != up.shape[1]:
        raise GraftworkError(f"{place}: the factors differ in rank; save it again")
    magnitude = found.get("lora_magnitude_vector", found.get("lora_magnitude_vector.weight"))
    _refuse(site, dora=magnitude is not None)
    return Factors(
        down=down,
        up=up,
        scale=_scale(module, len(down), config),
        magnitude=None if magnitude is None else magnitude.flatten(),
    )


def _scale(module: str, rank: int, config: Mapping[str, Any]) -> float:
    value = float(at(config.get("alpha_pattern"), module, config.get("lora_alpha", 8)))
    return value / (rank**0.5 if config.get("use_rslora") else rank)


def _refuse(site: Site, *, dora: bool) -> None:
    problem = ""
    layer = site.layer
    if site.part:
        problem = "has no name for a part of a packed projection"
    elif site.kind == "embedding" and dora:
        problem = "takes the length of each token's vector where graftwork takes each dimension's"
    elif site.groups > 1:
        problem = "has other factors for a convolution in groups"
    elif site.kind.startswith("conv") and any(step != 1 for step in layer.dilation):  # type: ignore[union-attr]
        problem = "forgets the dilation of a convolution"
    elif getattr(layer, "padding_mode", "zeros") != "zeros":
        problem = "pads the input of a convolution with zeros only"
    if problem:
        raise GraftworkError(
            f"format 'peft': PEFT {problem}, so '{site.name}' would act differently; leave it out "
            "of the sites, or keep graftwork's own files (`save`)"
        )
