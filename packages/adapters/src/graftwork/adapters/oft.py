"""OFT: a rotation of the weight, block by block."""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from graftwork.adapters.dropout import drawn_units, drops
from graftwork.adapters.rotated_product import rotated_product
from graftwork.adapters.rotation import Cayley, rotations, skew, turn
from graftwork.core.config import Ge, Gt, Lt, Search, config
from graftwork.core.errors import GraftworkError
from graftwork.nn import Site, WeightAdapter
from graftwork.nn.product import plain_autograd


@config
class OFTConfig:
    """Settings of OFT."""

    block_size: Annotated[int, Ge(2), Search(choices=(8, 16, 32, 64))] = 32
    """Side b of the blocks of the rotation. A site whose side it does not divide takes the divisor
    nearest to it (the smaller of two), between 2 and 2 b; a site that has none is refused. A side
    below b is one block."""

    side: Literal["input", "output"] = "input"
    """What is rotated: "input", the columns of W, as PEFT does; "output", its rows, as the paper
    and LyCORIS (diag-oft) do. An embedding has an output side only, its vectors."""

    cayley: Cayley = "exact"
    """"exact" rotates by Cayley's transform; "neumann" by five terms of its series, cheaper on
    accelerators and only nearly orthogonal. The two turn in opposite senses for the same numbers,
    so a trained adapter holds for one of them."""

    constraint: Annotated[float, Gt(0), Search(1e-6, 1e-2, log=True)] | None = None
    """Largest Frobenius norm of Q over the site, as a multiple of the rotated side's length;
    beyond it Q is scaled down (COFT, in LyCORIS's form). None leaves Q free."""

    dropout: Annotated[float, Ge(0), Lt(1), Search(0.0, 0.3)] = 0.0
    """Share of the blocks that are the identity in a training step: the multiplicative dropout
    that PEFT calls `module_dropout`. Ours draws every block by itself; PEFT takes a fixed number,
    rounded down, and so none where that is below one. It has no effect inside torch's attention,
    which shows adapters its weight alone."""


class OFT(WeightAdapter):
    """W' = W R^T or R W, R = blockdiag(R_1, ...) orthogonal  (Qiu et al. 2023, arXiv:2306.07280).

    Shapes: W (rows, cols), R (cols, cols) on the input side or (rows, rows) on the output side, in
    blocks R_i (b, b); R_i = (I - Q_i) (I + Q_i)^-1, Q_i skew-symmetric, which takes b (b - 1) / 2
    numbers. They start at 0: R = I.

    The stored numbers mean what PEFT's `oft_R` means, for either setting of `cayley`. LyCORIS's
    `oft_blocks` B give ours as the upper triangles of B - B^T, on the output side with "exact".
    A convolution's input side is its patch (in channels / groups x kernel), as in PEFT's merge.
    """

    def __init__(self, site: Site, settings: OFTConfig) -> None:
        super().__init__(site)
        _refuse_vocabulary(site, settings)
        self.side, self.cayley = settings.side, settings.cayley
        length = site.cols if self.side == "input" else site.rows
        self.size = _block_size(length, settings, site)
        self.limit = None if settings.constraint is None else settings.constraint * length
        self.dropout = nn.Dropout(settings.dropout)
        entries = self.size * (self.size - 1) // 2
        self.entries = nn.Parameter(torch.zeros(length // self.size, entries))
        """The upper triangles of Q, row by row, one row for each block."""

    def blocks(self, kept: Bool[Tensor, "blocks"] | None = None) -> Float[Tensor, "blocks b b"]:
        """R_i, in float32 at least; the identity where `kept` is False."""
        with torch.autocast(self.entries.device.type, enabled=False):
            wide = self.entries.to(torch.promote_types(self.dtype, torch.float32))
            q = skew(wide, self.size)
            if self.limit is not None:
                q = q * (self.limit / torch.linalg.vector_norm(q).clamp_min(self.limit))
            # Q = 0 gives R = I by either way.
            return rotations(q if kept is None else q * kept[:, None, None], self.cayley)

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W R^T on the input side, R W on the output side."""
        return self._turned(weight, self.blocks())

    def drops(self) -> bool:
        """In training, at a dropout above 0."""
        return drops(self.dropout)

    def form(self) -> Callable[[Tensor], Tensor]:
        """`effective`, but for blocks that are dropped."""
        kept = self._kept()
        return lambda weight: self._turned(weight, self.blocks(kept))

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """W (R^T x) + b or R (W x) + b, which costs b for each number of x or y and forms no W'."""
        site = self.site
        if not _commutes(site, self.side, self.size):
            return super().product(x, bias)
        blocks = self.blocks(self._kept())
        if self.side == "input" and site.kind == "linear" and not plain_autograd():
            return rotated_product(x, blocks, site.weight(), bias)
        if self.side == "input":
            return site.apply(turn(x, blocks.mT, _axis(site)), site.weight(), bias)
        output = turn(site.apply(x, site.weight()), blocks, _axis(site))
        return output if bias is None else output + site.channels(bias).to(output.dtype)

    def _kept(self) -> Bool[Tensor, "blocks"] | None:
        return drawn_units(self.dropout, len(self.entries), self.entries.device)

    def _turned(self, weight: Tensor, blocks: Tensor) -> Tensor:
        return turn(weight, blocks.to(weight.dtype), axis=-1 if self.side == "input" else -2)


def _axis(site: Site) -> int:
    return 1 - site.frozen().dim() if site.kind.startswith("conv") else -1


def _commutes(site: Site, side: str, size: int) -> bool:
    """Whether rotating the features of x, or of y, is the same as rotating W."""
    if side == "input":  # not where W acts on patches of x
        return site.kind == "linear" or (site.groups == 1 and site.cols == site.frozen().shape[1])
    return site.rows // site.groups % size == 0  # no block mixes groups, which read other inputs


def _refuse_vocabulary(site: Site, settings: OFTConfig) -> None:
    if site.kind == "embedding" and settings.side == "input":
        raise GraftworkError(
            f"adapter.side: 'input' would rotate the vocabulary of '{site.name}'; use 'output', "
            f"which rotates its vectors, or leave the site out with '!{site.name}' in sites"
        )


def _block_size(length: int, settings: OFTConfig, site: Site) -> int:
    wanted = settings.block_size
    divisors = [d for d in range(2, length + 1) if length % d == 0]
    usable = [d for d in divisors if d <= 2 * wanted]
    if usable:
        return min(usable, key=lambda divisor: (abs(divisor - wanted), divisor))
    remedy = f"use {' or '.join(map(str, divisors[:6]))}, or " if divisors else ""
    raise GraftworkError(
        f"adapter.block_size: no block near {wanted} divides the {settings.side} side of "
        f"'{site.name}', {length}; {remedy}leave the site out with '!{site.name}' in sites"
    )
