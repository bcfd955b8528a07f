"""LoHa, LoKr and OFT in PEFT's files; other methods bring forms of their own."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.formats import hadamard, kronecker, rotation
from graftwork.formats.layers import refuse_site
from graftwork.formats.peft_config import at
from graftwork.nn import Graft, Site
from graftwork.nn.adapter import Adapter
from graftwork.nn.forms import Content, Form, Held, forms

_KINDS = ("linear", "conv1d", "conv2d")


class LoHaForm(Form):
    """LoHa, a graft's weight folded in."""

    kind = "LOHA"
    leaves = hadamard.LEAVES - {"alpha"}

    def write(self, handle: Graft, adapters: Mapping[str, Adapter]) -> Held:
        """The four factors of every layer."""
        _refuse_sites(adapters)
        layers = {name: hadamard.leaves(one, handle.weight) for name, one in adapters.items()}
        return Held(layers=layers, fields=_fields(handle.settings))

    def read(self, held: Held, sites: Mapping[str, Site], place: str) -> Content:
        """A LoHa of the largest rank."""
        return hadamard.read(held.layers, _scales(held), sites, place)


class LoKrForm(Form):
    """LoKr, a graft's weight folded in."""

    kind = "LOKR"
    leaves = kronecker.LEAVES - {"alpha"}

    def write(self, handle: Graft, adapters: Mapping[str, Adapter]) -> Held:
        """The two factors of every layer, each whole or as a product."""
        _refuse_sites(adapters)
        layers = {name: kronecker.leaves(one, handle.weight) for name, one in adapters.items()}
        settings = handle.settings
        more = {
            "decompose_both": settings.decompose_both,
            "decompose_factor": settings.factor,
        }
        return Held(layers=layers, fields=_fields(settings) | more)

    def read(self, held: Held, sites: Mapping[str, Site], place: str) -> Content:
        """A LoKr with the settings that give factors of these shapes."""
        return kronecker.read(held.layers, _scales(held), sites, place)


class OFTForm(Form):
    """OFT of the input side, at weight 1."""

    kind = "OFT"
    leaves = rotation.PEFT_LEAVES

    def write(self, handle: Graft, adapters: Mapping[str, Adapter]) -> Held:
        """The triangles of every layer's blocks."""
        _refuse_sites(adapters)
        rotation.refuse(handle, side="input", format="peft")
        rotation.refuse_kernels(adapters.values())
        layers = {
            name: rotation.peft_leaves(one, handle.settings) for name, one in adapters.items()
        }
        return Held(layers=layers, fields=rotation.peft_fields(handle.settings))

    def read(self, held: Held, sites: Mapping[str, Site], place: str) -> Content:
        """An OFT with the block size that gives these shapes."""
        return rotation.read_peft(held.layers, held.fields, sites, place)


def all_forms() -> dict[str, Form]:
    """The forms for PEFT's files by adapter: those of this package and those of other plugins.

    Raises:
        GraftworkError: a plugin's form is for what this package writes itself, or for what another
            plugin's form is for.
    """
    found: dict[str, Form] = {"loha": LoHaForm(), "lokr": LoKrForm(), "oft": OFTForm()}
    taken = {"LORA": "lora"} | {form.kind: name for name, form in found.items()}
    for name, form in forms("peft").items():
        if form.kind in taken:
            raise GraftworkError(
                f"format 'peft': adapters '{taken[form.kind]}' and '{name}' both claim peft_type "
                f"{form.kind}; uninstall the plugin of one"
            )
        found[name], taken[form.kind] = form, name
    return found


def _refuse_sites(adapters: Mapping[str, Adapter]) -> None:
    for adapter in adapters.values():
        refuse_site(adapter.site, "peft", kinds=_KINDS)


def refuse_attention(site: Site) -> None:
    """Refuse what PEFT has LoRA alone for: parts of a packed projection, and torch's attention.

    Raises:
        GraftworkError: the site is one of them.
    """
    inside = isinstance(site.layer, nn.modules.linear.NonDynamicallyQuantizableLinear)
    if site.part or inside:
        what = f"part '{site.part}' of a packed projection" if site.part else "a part of attention"
        raise GraftworkError(
            f"format 'peft': has no form for '{site.name}', {what}, but for lora; leave it out of "
            "the sites, or set convert = 'svd' with a rank"
        )


def _fields(settings: Any) -> dict[str, Any]:
    """What LoHa and LoKr have in common."""
    return {
        "r": settings.rank,
        "alpha": settings.alpha or settings.rank,
        "use_effective_conv2d": False,
        "rank_pattern": {},
        "alpha_pattern": {},
    }


def _scales(held: Held) -> dict[str, float]:
    return {name: _scale(name, held.fields) for name in held.layers}


def _scale(module: str, fields: Mapping[str, Any]) -> float:
    rank = at(fields.get("rank_pattern"), module, fields.get("r", 8))
    return float(at(fields.get("alpha_pattern"), module, fields.get("alpha", 8))) / rank
