"""LoRA and DoRA in PEFT's files.

    lora_A.weight            (rank, in[, kernel])   A      lora_embedding_A  (rank, vocabulary)
    lora_B.weight            (out, rank[, 1, 1])    B      lora_embedding_B  (dimensions, rank)
    lora_magnitude_vector    (out,) or (1, out, 1, 1)   m of DoRA

The scale is lora_alpha / r, or lora_alpha / sqrt(r) with use_rslora; both may differ by module. A
packed projection is one layer (`packed`). PEFT's layer for torch's attention has A and B for the
packed projection and for the last layer too, at one rank and scale; see `_refuse_last`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.formats import packed, peft_names
from graftwork.formats.layers import Leaves, need
from graftwork.formats.peft_config import at, version
from graftwork.nn import Site
from graftwork.nn.factors import Factors
from graftwork.nn.forms import Held

KIND = "LORA"
LEAVES = frozenset(
    {
        *("lora_A.weight", "lora_B.weight", "lora_embedding_A", "lora_embedding_B"),
        *("lora_magnitude_vector", "lora_magnitude_vector.weight"),
    }
)
_TWICE_UNTIL = (0, 21)
"""The last PEFT that is known to apply the change of an attention's last layer twice."""


def held(found: Mapping[str, Factors], sites: Iterable[Site], part: str) -> Held:
    """A graft's factors in PEFT's terms.

    Args:
        found: the factors by site.
        sites: the sites that are written.
        part: the part of the model that PEFT is put on.

    Raises:
        GraftworkError: PEFT computes something else on such a layer.
    """
    layers: dict[str, dict[str, Tensor]] = {}
    factors: dict[str, Factors] = {}
    for layer, own in packed.joined(found, sites).values():
        name = peft_names.module(layer, part)
        factors[name], layers[name] = own, leaves(own, layer)
        if peft_names.in_attention(layer):
            layers[name] |= _idle_last(own, layer)
    return Held(layers=layers, fields=fields(factors))


def fields(layers: Mapping[str, Factors]) -> dict[str, Any]:
    """The method's part of the configuration, for layers by module."""
    first = max(layers.values(), key=lambda one: one.rank)
    others = {name: one for name, one in layers.items() if one.rank != first.rank}
    pattern = {f"^{name}".replace(".", r"\."): one for name, one in others.items()}
    return {
        "peft_type": KIND,
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
    _refuse_last(site)
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


def read(
    found: Mapping[str, Leaves],
    sites: Mapping[str, Sequence[Site]],
    config: Mapping[str, Any],
    file: str,
) -> dict[str, Factors]:
    """The factors of a file by site, from the leaves and the sites of every module.

    Raises:
        GraftworkError: one is missing, or PEFT computes something else on such a layer.
    """
    read: dict[str, Factors] = {}
    for module, own in found.items():
        parts, place = sites[module], f"{file}: '{module}'"
        layer = packed.layer_of(parts[0])
        factors = _factors(own, module, layer, config, place)
        if not peft_names.last_of_attention(layer):
            read |= packed.parted(factors, parts) if parts[0].part else {layer.name: factors}
        elif factors.up.any():  # PEFT's layer always has it, used or not
            read[layer.name] = _twice(factors, module, config, place)
    return read


def _factors(
    found: Leaves, module: str, site: Site, config: Mapping[str, Any], place: str
) -> Factors:
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
        scale=_scale(module.removesuffix(peft_names.LAST), len(down), config),
        magnitude=None if magnitude is None else magnitude.flatten(),
    )


def _scale(module: str, rank: int, config: Mapping[str, Any]) -> float:
    value = float(at(config.get("alpha_pattern"), module, config.get("lora_alpha", 8)))
    return value / (rank**0.5 if config.get("use_rslora") else rank)


def _idle_last(factors: Factors, layer: Site) -> dict[str, Tensor]:
    """The factors that an attention's last layer has to have, and that do nothing."""
    width: int = layer.layer.embed_dim  # type: ignore[assignment]
    name = peft_names.LAST.removeprefix(".")
    return {
        f"{name}.lora_A.weight": torch.zeros(factors.rank, width),
        f"{name}.lora_B.weight": torch.zeros(width, factors.rank),
    }


def _refuse_last(site: Site) -> None:
    """Refuse to write the last layer of torch's attention.

    PEFT 0.21 adds its change twice, in the output and in the merged weight; half of it in a file
    would be wrong for a PEFT that does not.
    """
    if peft_names.last_of_attention(site):
        raise GraftworkError(
            f"format 'peft': PEFT adds the change of '{site.name}', the last layer of torch's "
            "attention, twice; leave it out of the sites, or keep graftwork's own files (`save`)"
        )


def _twice(factors: Factors, module: str, config: Mapping[str, Any], place: str) -> Factors:
    """What PEFT made of the factors of an attention's last layer when it trained them."""
    if not module.endswith(peft_names.LAST):
        raise GraftworkError(
            f"{place}: PEFT does not use what it has on the last layer of torch's attention by "
            "itself; leave the tensor out"
        )
    if version(config.get("peft_version")) > _TWICE_UNTIL:
        raise GraftworkError(
            f"{place}: PEFT up to {'.'.join(map(str, _TWICE_UNTIL))} adds this change twice, and "
            f"whether {config['peft_version']} does is not known; update graftwork-formats, or "
            "merge with PEFT"
        )
    return replace(factors, up=2 * factors.up)


def _refuse(site: Site, *, dora: bool) -> None:
    problem = ""
    layer = site.layer
    if dora and peft_names.in_attention(site):
        problem = "has no dora for torch's attention"
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
