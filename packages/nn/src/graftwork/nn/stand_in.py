"""Sites as other libraries want to see them: linear layers.

A bridge to a library of methods shows it `plain_linear(site)`, lets it make its own layer around
that, and then puts a `SiteLinear` in its place. Whatever the site is, the library computes on the
matrix W: a convolution is the linear map from a patch to its output, and an embedding the map
from its dimensions to its vocabulary, as it is stored. What the library makes of the identity
matrix is the effective weight.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.nn.site import Site

Run = Callable[[Tensor], Tensor]
"""A layer of a library's, on an input."""


class SiteLinear(nn.Linear):
    """A linear layer without bias whose weight is the site's own; it has no parameter."""

    def __init__(self, site: Site) -> None:
        nn.Module.__init__(self)
        self.site = site
        self._weight: Tensor | None = None
        self._known: tuple[Tensor, Tensor] | None = None
        self.out_features, self.in_features = self.weight.shape
        self.register_parameter("bias", None)

    @property
    def weight(self) -> Float[Tensor, "out_features in_features"]:  # type: ignore[override]
        """The frozen weight, or what stands in its place for a while."""
        given = self._weight
        return oriented(self.site, self.site.weight()) if given is None else given

    def forward(self, x: Tensor) -> Tensor:
        """W x, in the dtype of x."""
        if self._known is not None and x is self._known[0]:
            return self._known[1].clone()  # some libraries add to it in place
        return F.linear(x, self.weight.to(x.dtype))

    def answering(
        self, x: Tensor, output: Tensor, run: Run, *, weight: Tensor | None = None
    ) -> Tensor:
        """`run` on x, given that W x is known, and with another weight than the site's if any."""
        # No context manager: torch.compile does not follow one through the tests' type checks.
        self._weight, self._known = weight, (x, output)
        try:
            return run(x)
        finally:
            self._weight = self._known = None

    def of_identity(
        self, matrix: Float[Tensor, "rows cols"], layer: nn.Module, run: Run | None = None
    ) -> Float[Tensor, "rows cols"]:
        """The site's W' when W is `matrix`: W' I.

        `layer` is the library's own around this one, called by `run`; in evaluation mode it has to
        be linear in its input, and the same at every call.
        """
        given = oriented(self.site, matrix)
        identity = torch.eye(given.shape[1], dtype=given.dtype, device=given.device)
        trains = layer.training
        if trains:
            layer.eval()
        try:
            output = self.answering(identity, given.T, run or layer, weight=given)
        finally:
            if trains:
                layer.train()
        return oriented(self.site, output.T).to(matrix.dtype)


def oriented(site: Site, matrix: Float[Tensor, "rows cols"]) -> Tensor:
    """A site's matrix as the weight of the linear layer that stands for it, and back."""
    return matrix.T if site.kind == "embedding" else matrix


def plain_linear(site: Site) -> nn.Linear:
    """A frozen `nn.Linear` on the site's weight itself; a copy where that is not float32.

    Libraries give their parameters the dtype of the layer, and in half precision initial values
    would be rounded.
    """
    weight = oriented(site, site.weight().detach()).to(torch.float32)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


@contextmanager
def made_in_earnest(site: Site) -> Iterator[None]:
    """Inside the block modules are made on the site's device, also where an adapter is loaded.

    Adapters are loaded on the meta device, where layers that read the frozen weight as they are
    built cannot be made. So they are made in earnest, which leaves torch's generator as it was,
    and then filled.
    """
    if torch.get_default_device().type != "meta":
        yield
        return
    with torch.random.fork_rng(devices=[]), torch.device(site.frozen().device):
        yield
