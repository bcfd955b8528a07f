"""The output of a linear layer under a low-rank change, with gradients by hand.

With tokens as columns every product with a factor is a thin matrix times a wide one, which is
several times faster on a CPU than the same product written the other way round. What autograd
would add up in temporaries of the output's size is accumulated in place.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from graftwork.adapters.dropout import Mask


class Change(NamedTuple):
    """What a low-rank change consists of besides its factors."""

    scale: float
    mask: Mask | None = None
    """Dropout of the x that meets A."""
    low: bool = False
    """Whether the factors work in the dtype of x, as under autocast, and not x in theirs."""


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
            y = torch.nn.functional.linear(x, weight.to(x.dtype), bias)
            hidden = hidden_of(x, down, change)
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
            gradients = low_rank_gradients(
                grad, x, down, up, weight, hidden, ctx.change, ctx.needs_input_grad[0]
            )
        return *gradients, None, None, None


def hidden_of(
    x: Float[Tensor, "*batch cols"], down: Float[Tensor, "rank cols"], change: Change
) -> Float[Tensor, "rank tokens"]:
    """h = A mask(x), tokens as columns, in the dtype that the factors work in."""
    tokens = _matrix(x)
    dtype = tokens.dtype if change.low else down.dtype
    tokens = tokens.to(dtype)
    if change.mask is not None:
        tokens = change.mask.times(tokens)
    return down.to(dtype) @ tokens.T


def add_low_rank(
    y: Float[Tensor, "*batch rows"],
    hidden: Float[Tensor, "rank tokens"],
    up: Float[Tensor, "rows rank"],
    change: Change,
) -> None:
    """y += scale B h, in place."""
    factor = change.scale * up.to(hidden.dtype)
    _accumulate(_matrix(y), hidden.T, factor.T)


def low_rank_gradients(
    grad: Float[Tensor, "*batch rows"],
    x: Float[Tensor, "*batch cols"],
    down: Float[Tensor, "rank cols"],
    up: Float[Tensor, "rows rank"],
    weight: Float[Tensor, "rows cols"],
    hidden: Float[Tensor, "rank tokens"],
    change: Change,
    needs_x: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """dL/dx, dL/dA and dL/dB from G = dL/dy."""
    dtype = hidden.dtype
    wide, tokens = _matrix(grad).to(dtype), _matrix(x).to(dtype)
    grad_up = (hidden @ wide).T.mul_(change.scale)
    grad_hidden = (change.scale * up.to(dtype)).T @ wide.T
    if change.mask is not None:
        tokens = change.mask.times(tokens)
    grad_down = grad_hidden @ tokens
    grad_x = None
    if needs_x:
        grad_x = grad @ weight.to(grad.dtype)
        if change.mask is None:
            _accumulate(_matrix(grad_x), grad_hidden.T, down.to(dtype))
        else:
            _matrix(grad_x).add_(change.mask.times(grad_hidden.T @ down.to(dtype)))
    return grad_x, grad_down.to(down.dtype), grad_up.to(up.dtype)


def _matrix(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])


def _accumulate(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left right, rounded once where `total` is narrower."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)
