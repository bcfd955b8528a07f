"""The output of a linear layer under a low-rank change, with gradients by hand.

With tokens as columns every product with a factor is a thin matrix times a wide one, which is
several times faster on a CPU than the same product written the other way round. What autograd
would add up in temporaries of the output's size is accumulated in place. Where there are more
tokens than features, W + scale B A is formed instead, in either pass: a thin product of the
weight's size in place of one of the output's.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from graftwork.adapters.dropout import Mask

Kept = Float[Tensor, "tokens cols"] | None


class Change(NamedTuple):
    """What a low-rank change consists of besides its factors."""

    scale: float
    mask: Mask | None = None
    """Dropout of the x that meets A."""
    low: bool = False
    """Whether the factors work in the dtype of x, as under autocast, and not x in theirs."""

    def kept(self, x: Float[Tensor, "*batch cols"], dtype: torch.dtype) -> Kept:
        """1 where an element of x meets A and 0 elsewhere, tokens as rows; None for all."""
        return None if self.mask is None else self.mask.kept(as_matrix(x), dtype)

    @property
    def gain(self) -> float:
        """What enlarges those that do."""
        return 1.0 if self.mask is None else self.mask.gain


class LowRankProduct(torch.autograd.Function):
    """y = W x + b + scale B A mask(x), keeping x, A x, A and B.

    Shapes: x (..., cols), W (rows, cols), A (rank, cols), B (rows, rank). With h = A mask(x) and
    G = dL/dy: dL/dB = scale G h^T, dL/dh = scale B^T G, dL/dA = dL/dh mask(x)^T and
    dL/dx = W^T G + mask(A^T dL/dh).
    """

    @staticmethod
    def forward(
        x: Tensor, down: Tensor, up: Tensor, weight: Tensor, bias: Tensor | None, change: Change
    ) -> tuple[Tensor, Tensor]:
        """y, and h for backward."""
        with torch.autocast(x.device.type, enabled=False):
            bias = None if bias is None else bias.to(x.dtype)
            hidden = hidden_of(x, down, change)
            if is_formed(x, weight, down, change):
                weight = formed(weight, down, up, change)
                return torch.nn.functional.linear(x, weight, bias), hidden
            y = torch.nn.functional.linear(x, weight.to(x.dtype), bias)
            add_low_rank(y, hidden, up, change)
        return y, hidden

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep x, h and the factors; W is a parameter and costs nothing."""
        x, down, up, weight, _, ctx.change = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(x, down, up, weight, output[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Any, ...]:
        """Gradients of x, A and B."""
        x, down, up, weight, hidden = ctx.saved_tensors
        with torch.autocast(x.device.type, enabled=False):
            kept = ctx.change.kept(x, hidden.dtype)
            grad_hidden, *small = factor_gradients(grad, x, down, up, hidden, ctx.change, kept)
            grad_x = None
            if ctx.needs_input_grad[0] and is_formed(x, weight, down, ctx.change):
                grad_x = grad @ formed(weight, down, up, ctx.change)
            elif ctx.needs_input_grad[0]:
                grad_x = grad @ weight.to(grad.dtype)
                add_hidden_gradient(grad_x, grad_hidden, down, ctx.change, kept)
        return grad_x, *small, None, None, None


def is_formed(
    x: Float[Tensor, "*batch cols"],
    weight: Float[Tensor, "rows cols"],
    down: Float[Tensor, "rank cols"],
    change: Change,
) -> bool:
    """Whether W + scale B A takes the place of W and, beside it, B and A.

    Not under dropout, which acts on the change alone, nor in half precision, where the change
    would be rounded to the digits of W.
    """
    one_dtype = x.dtype == weight.dtype == down.dtype and x.dtype.itemsize >= 4
    if change.mask is not None or not one_dtype:
        return False
    rows, cols = weight.shape
    return x.numel() // cols * (rows + cols) > 2 * rows * cols


def formed(
    weight: Float[Tensor, "rows cols"],
    down: Float[Tensor, "rank cols"],
    up: Float[Tensor, "rows rank"],
    change: Change,
) -> Float[Tensor, "rows cols"]:
    """W + scale B A."""
    return torch.addmm(weight, up, down, alpha=change.scale)


def hidden_of(
    x: Float[Tensor, "*batch cols"], down: Float[Tensor, "rank cols"], change: Change
) -> Float[Tensor, "rank tokens"]:
    """h = A mask(x), tokens as columns, in the dtype that the factors work in."""
    tokens = as_matrix(x)
    dtype = tokens.dtype if change.low else down.dtype
    tokens = _masked(tokens.to(dtype), change.kept(x, dtype))
    return (change.gain * down.to(dtype)) @ tokens.T


def add_low_rank(
    y: Float[Tensor, "*batch rows"],
    hidden: Float[Tensor, "rank tokens"],
    up: Float[Tensor, "rows rank"],
    change: Change,
) -> None:
    """y += scale B h, in place."""
    factor = change.scale * up.to(hidden.dtype)
    _accumulate(as_matrix(y), hidden.T, factor.T)


def factor_gradients(
    grad: Float[Tensor, "*batch rows"],
    x: Float[Tensor, "*batch cols"],
    down: Float[Tensor, "rank cols"],
    up: Float[Tensor, "rows rank"],
    hidden: Float[Tensor, "rank tokens"],
    change: Change,
    kept: Kept = None,
) -> tuple[Float[Tensor, "rank tokens"], Float[Tensor, "rank cols"], Float[Tensor, "rows rank"]]:
    """dL/dh, dL/dA and dL/dB from G = dL/dy."""
    dtype = hidden.dtype
    wide, tokens = as_matrix(grad).to(dtype), as_matrix(x).to(dtype)
    grad_up = (hidden @ wide).T.mul_(change.scale)
    grad_hidden = (change.scale * up.to(dtype)).T @ wide.T
    grad_down = (change.gain * grad_hidden) @ _masked(tokens, kept)
    return grad_hidden, grad_down.to(down.dtype), grad_up.to(up.dtype)


def add_hidden_gradient(
    grad_x: Float[Tensor, "*batch cols"],
    grad_hidden: Float[Tensor, "rank tokens"],
    down: Float[Tensor, "rank cols"],
    change: Change,
    kept: Kept = None,
) -> None:
    """grad_x += mask(A^T dL/dh), in place."""
    down = change.gain * down.to(grad_hidden.dtype)
    if kept is None:
        _accumulate(as_matrix(grad_x), grad_hidden.T, down)
    elif grad_x.dtype == grad_hidden.dtype:
        as_matrix(grad_x).addcmul_(grad_hidden.T @ down, kept)
    else:
        as_matrix(grad_x).add_((grad_hidden.T @ down).mul_(kept))


def _masked(tokens: Float[Tensor, "tokens cols"], kept: Kept) -> Float[Tensor, "tokens cols"]:
    return tokens if kept is None else tokens * kept


def as_matrix(x: Float[Tensor, "*batch width"]) -> Float[Tensor, "tokens width"]:
    """Tokens as rows."""
    return x.reshape(-1, x.shape[-1])


def _accumulate(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left right, rounded once where `total` is narrower."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)
