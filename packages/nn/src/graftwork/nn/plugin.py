"""What this distribution registers: the layers of torch."""

from typing import TYPE_CHECKING

from graftwork.core import hookimpl

if TYPE_CHECKING:
    from torch import nn

    from graftwork.nn.site import Site


@hookimpl(trylast=True)
def as_site(module: "nn.Module", name: str) -> "Site | None":
    """Linear, convolution, embedding and packed layers. Last: other plugins know better."""
    from graftwork.nn import layers

    return layers.as_site(module, name)
