"""StyleInject: several low-rank changes, mixed for each instance by a router."""

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.adapters.low_rank import refuse_rank
from graftwork.adapters.modulation import modulate
from graftwork.adapters.style_product import MixedProjection, add_lifted, lift, project
from graftwork.core.config import Ge, Gt, Search, config
from graftwork.core.errors import GraftworkError
from graftwork.nn import ActivationAdapter, Site
from graftwork.nn.product import in_layer_dtype, plain_autograd


@config
class StyleInjectConfig:
    """Settings of StyleInject. The defaults of `rank` and `branches` are working values; the
    paper's are not known to us."""

    rank: Annotated[int, Ge(1), Search(2, 64, log=True)] = 4
    """r, the rows of every A_i and the columns of B. At most the smaller side of the smallest
    site."""

    branches: Annotated[int, Ge(1), Search(2, 8)] = 4
    """n, how many A_i a site has. With one, `plain` is LoRA."""

    alpha: Annotated[float, Gt(0), Search(1, 64, log=True)] | None = None
    """Numerator of the change's scale alpha / rank. Left out it is the rank itself, so that the
    scale is 1 at every rank."""

    variant: Annotated[Literal["variance", "plain"], Search(choices=("variance", "plain"))] = (
        "variance"
    )
    """What the change does to the layer's output h: it is added to h ("plain"), or to the
    deviation of h, as h + dh (h - mean) / deviation ("variance")."""


class StyleInject(ActivationAdapter):
    """h' = h + dh, dh = scale B sum_i s_i A_i x, s = softmax(R pool(x) + c)  (Zhou et al. 2024,
    arXiv:2401.13942).

    Shapes: A_i (r, cols), B (rows, r), R (n, features), c (n,); pool takes the mean over an
    instance's tokens or pixels, and each instance has its own s. With `variance`

        h' = mu(h) + (sigma(h) + dh) * (h - mu(h)) / sigma(h) = h + dh * (h - mu(h)) / sigma(h),

    where mu and sigma are the mean and deviation of a channel of one instance over its tokens;
    where there is one token, and so no deviation, h' = h + dh.

    From the paper: the n projections A_i, the one B, the router with its softmax, its 1x1
    convolution after the sum over a feature map, and that the variance of the features is what
    adapts. Our reading, for no code is published: the formula of `variance`, alpha, the means in
    place of the sum (the same router up to its scale, at every resolution), zeros for B, R and c,
    and Kaiming's uniform values for A_i, each its own, for equal ones would stay equal.
    """

    def __init__(self, site: Site, settings: StyleInjectConfig) -> None:
        super().__init__(site)
        _refuse_embedding(site)
        refuse_rank(settings.rank, site)
        self.rank, self.variant = settings.rank, settings.variant
        self.scale = 1.0 if settings.alpha is None else settings.alpha / settings.rank
        features = site.frozen().shape[1] * site.groups
        self.down = nn.Parameter(torch.empty(settings.branches, settings.rank, site.cols))
        """A_1 ... A_n."""
        self.up = nn.Parameter(torch.zeros(site.rows, settings.rank))
        """B."""
        self.router = nn.Parameter(torch.zeros(settings.branches, features))
        """R."""
        self.bias = nn.Parameter(torch.zeros(settings.branches))
        """c."""
        nn.init.uniform_(self.down, -(site.cols**-0.5), site.cols**-0.5)

    def styles(self, x: Tensor) -> Float[Tensor, "instances branches"]:
        """s of every instance of the layer's input, in the adapter's dtype."""
        inputs = x if self._batched(x) else x[None]
        dims = tuple(range(1, inputs.dim() - 1) if self._linear else range(2, inputs.dim()))
        pooled = inputs.mean(dims, dtype=self.dtype) if dims else inputs.to(self.dtype)
        return torch.softmax(F.linear(pooled, self.router, self.bias), 1)

    def hidden(self, x: Tensor, styles: Float[Tensor, "instances branches"]) -> Tensor:
        """sum_i s_i A_i x, as `Site.down` of one A would have it."""
        if not self._linear:
            return self._mixed_convolution(x, styles)
        tokens = _by_instance(x)
        if tokens.shape[1] > self.rank:  # mixed before x comes in: as cheap as one branch
            mixed = torch.einsum("gn,nrc->grc", styles, self.down)
            return project(tokens, mixed).reshape(*x.shape[:-1], self.rank)
        every = project(tokens.flatten(0, 1)[None], self.down.flatten(0, 1)[None])
        parts = every.view(*tokens.shape[:2], *self.down.shape[:2])
        return torch.einsum("gn,gtnr->gtr", styles, parts).reshape(*x.shape[:-1], self.rank)

    def forward(self, x: Tensor, frozen: Tensor) -> Tensor:
        """h' from x and h. The layer's bias, which h is without, would change nothing in dh."""
        x = in_layer_dtype(x)
        with torch.autocast(x.device.type, enabled=False):
            hidden, up = self._routed(x), self.scale * self.up
            dims = self._token_axes(frozen)
            if self.variant == "variance" and math.prod([frozen.shape[axis] for axis in dims]) > 1:
                change = lift if self._linear else self.site.up
                return modulate(frozen, hidden, up, change=change, dims=dims)
            if self._linear:
                return add_lifted(frozen, hidden, up)
            return frozen + self.site.up(hidden, up).to(frozen.dtype)

    def _routed(self, x: Tensor) -> Tensor:
        """`hidden` under the input's own styles."""
        if not self._linear or plain_autograd() or math.prod(x.shape[1:-1]) <= self.rank:
            return self.hidden(x, self.styles(x))
        found = MixedProjection.apply(_by_instance(x), self.down, self.router, self.bias)
        return found.reshape(*x.shape[:-1], self.rank)

    def _mixed_convolution(self, x: Tensor, styles: Tensor) -> Tensor:
        every = self.site.down(x, self.down.flatten(0, 1))
        branches, rank, _ = self.down.shape
        parts = every.reshape(len(styles), self.site.groups, branches, rank, -1)
        mixed = torch.einsum("gn,gcnrp->gcrp", styles, parts)
        axis = 0 if every.dim() < self.site.frozen().dim() else 1
        return mixed.reshape(*every.shape[:axis], -1, *every.shape[axis + 1 :])

    @property
    def _linear(self) -> bool:
        return self.site.kind == "linear"

    def _batched(self, x: Tensor) -> bool:
        return x.dim() > 1 if self._linear else x.dim() == self.site.frozen().dim()

    def _token_axes(self, frozen: Tensor) -> tuple[int, ...]:
        if self._linear:
            return tuple(range(1, frozen.dim() - 1))
        return tuple(range(2 - self.site.frozen().dim(), 0))


def _by_instance(x: Tensor) -> Float[Tensor, "instances tokens cols"]:
    """A linear layer's input, its first axis apart; one vector is one token of one instance."""
    x = x if x.dim() > 1 else x[None]
    return x.reshape(len(x), math.prod(x.shape[1:-1]), x.shape[-1])


def _refuse_embedding(site: Site) -> None:
    if site.kind == "embedding":
        raise GraftworkError(
            f"style-inject: '{site.name}' is an embedding, whose input has no features to judge "
            f"a style by; leave it out with '!{site.name}' in sites"
        )
