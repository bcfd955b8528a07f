"""What PEFT calls the layers of a model: by their dotted names, but for torch's attention.

`nn.MultiheadAttention` is one layer to PEFT. Its packed projection goes by the attention's own
name, and what PEFT puts on its last layer lies below `base_layer`, which it holds the attention in.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.formats import packed
from graftwork.nn import Site
from graftwork.nn.match import all_sites

LAST = ".base_layer.out_proj"
"""What follows an attention's name in the keys of its last layer."""
_PACKED = "in_proj"


def in_attention(site: Site) -> bool:
    """Whether a whole site is the packed projection of torch's attention."""
    return isinstance(site.layer, nn.MultiheadAttention)


def last_of_attention(site: Site) -> bool:
    """Whether a site is the last layer of torch's attention, which nobody calls."""
    return isinstance(site.layer, nn.modules.linear.NonDynamicallyQuantizableLinear)


def module(layer: Site, part: str) -> str:
    """The name that PEFT has for a whole site when it is put on a part of the model."""
    name = layer.name.removeprefix(f"{part}.") if part else layer.name
    return name.removesuffix(f".{_PACKED}") if in_attention(layer) else name


def sites(model: nn.Module, modules: Iterable[str], path: Path) -> dict[str, tuple[Site, ...]]:
    """The sites of every module, below the model or below one part of it.

    Raises:
        GraftworkError: the model lacks one.
    """
    modules = list(modules)
    known = _known(model)
    for start in ["", *(f"{name}." for name, _ in model.named_children())]:
        if all(f"{start}{name}" in known for name in modules):
            return {name: known[f"{start}{name}"] for name in modules}
    missing = next(name for name in modules if name not in known)
    raise GraftworkError(
        f"{path}: the model has no site '{missing}'; load the backbone it was made for"
    )


def _known(model: nn.Module) -> Mapping[str, tuple[Site, ...]]:
    known: dict[str, tuple[Site, ...]] = {name: (site,) for name, site in all_sites(model).items()}
    for parts in packed.layers(model).values():
        layer = packed.layer_of(parts[0])
        name = module(layer, "")
        known[name] = parts
        last = f"{name}.out_proj"
        if in_attention(layer) and last in known:
            known[f"{name}{LAST}"] = known[last]
    return known
