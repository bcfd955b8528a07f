"""What the readers of all methods share: the tensors of a file by site, as one graft takes them."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.core import registry
from graftwork.core.errors import GraftworkError
from graftwork.nn import Site
from graftwork.nn.forms import Content
from graftwork.nn.grafting import read_settings

Leaves = Mapping[str, Tensor]
"""The tensors of one layer by the last part of their keys."""


_LAST_OF_ATTENTION = nn.modules.linear.NonDynamicallyQuantizableLinear

CHANNELLED = ("linear", "conv1d", "conv2d", "conv3d")
"""The kinds of site with input and output channels: all but embeddings."""


def need(leaves: Leaves, names: tuple[str, ...], place: str) -> list[Tensor]:
    """Tensors that have to be there.

    Raises:
        GraftworkError: one is not.
    """
    for name in names:
        if name not in leaves:
            raise GraftworkError(f"{place}: '{name}' is missing; copy the adapter again")
    return [leaves[name] for name in names]


def refuse_site(site: Site, format: str, *, kinds: tuple[str, ...] = CHANNELLED) -> None:
    """Refuse a layer that readers of a format do not know, or treat in another way.

    Raises:
        GraftworkError: it is of another kind, part of a packed projection, inside torch's
            attention, which calls no layer, or pads with something else than zeros.
    """
    kind = f"part of {site.kind}" if site.part else site.kind
    if site.parameter != "weight" or isinstance(site.layer, _LAST_OF_ATTENTION):
        kind = "inside torch's attention"
    padding = getattr(site.layer, "padding_mode", "zeros")
    if padding != "zeros":
        kind = f"{kind} with padding '{padding}'"
    if kind not in kinds:
        raise GraftworkError(
            f"format '{format}': has no form for '{site.name}' ({kind}); leave it out of the "
            "sites, or keep graftwork's own files (`save`)"
        )


def fits(content: Content, sites: Mapping[str, Site]) -> bool:
    """Whether the settings make parameters of just these shapes at every site."""
    spec = registry.find("adapters", content.method)
    cls, settings = spec.load(), read_settings(spec, content.settings)  # type: ignore[arg-type]
    for name, tensors in content.tensors.items():
        try:
            with torch.device("meta"):
                adapter: nn.Module = cls(sites[name], settings)
        except GraftworkError:
            return False
        shapes = {key: tensor.shape for key, tensor in adapter.state_dict().items()}
        if shapes != {key: tensor.shape for key, tensor in tensors.items()}:
            return False
    return True


def tucker(
    kernel: Float[Tensor, "rank inner *kernel"], down: Float[Tensor, "inner channels"]
) -> Float[Tensor, "rank cols"]:
    """A of a change in Tucker's form, the kernel put back between its two factors."""
    return torch.einsum("pq...,qi->pi...", kernel, down).flatten(1)


def padded(tensor: Tensor, size: int, axis: int) -> Tensor:
    """Zeros after the end of an axis, up to a size."""
    missing = size - tensor.shape[axis]
    shape = list(tensor.shape)
    shape[axis] = missing
    return torch.cat([tensor, tensor.new_zeros(shape)], axis) if missing else tensor
