"""The output of a linear layer under DoRA, with gradients by hand."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from graftwork.adapters.blocks import block_rows
from graftwork.adapters.low_rank_product import (
    Change,
    add_hidden_gradient,
    add_low_rank,
    as_matrix,
    factor_gradients,
    formed,
    hidden_of,
    is_formed,
)

# A row below this share of its direction's length is not divided by to recover that direction.
_SMALL = 1e-2


class DoRAProduct(torch.autograd.Function):
    """y = q * d + b with d = W x + scale B A mask(x) and q = m / n.

    With G = dL/dy, dL/dm = sum over tokens of G * d / n, and q * G takes the place of G in LoRA's
    gradients; where W' = q (W + scale B A) is formed, q goes into W' and B, and no tensor of the
    output's size is made for it. For d the output itself is kept, which what comes after the layer
    usually keeps anyway: d / n = (y - b) / m. Where some m is near 0, in half precision, and on
    accelerators, which would have to wait for the answer to that question, d is kept.
    """

    @staticmethod
    def forward(
        x: Tensor,
        down: Tensor,
        up: Tensor,
        magnitude: Tensor,
        norm: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        change: Change,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """y, A mask(x), and d where it is kept."""
        ratio = magnitude / norm
        with torch.autocast(x.device.type, enabled=False):
            hidden = hidden_of(x, down, change)
            if is_formed(x, weight, down, change) and _recoverable(x, ratio):
                whole = _formed(weight, down, up, ratio, change)
                return torch.nn.functional.linear(x, whole, bias), hidden, None
            direction = torch.nn.functional.linear(x, weight.to(x.dtype))
            add_low_rank(direction, hidden, up, change)
            recoverable = _recoverable(direction, ratio)
            y = direction if recoverable else direction.clone()
            y.mul_(ratio)
            if bias is not None:
                y.add_(bias)
        return y, hidden, None if recoverable else direction

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        """Keep x, A mask(x), y or d, and what is small."""
        x, down, up, magnitude, norm, weight, bias, ctx.change = inputs
        y, hidden, direction = output
        ctx.mark_non_differentiable(hidden, *([] if direction is None else [direction]))
        kept = y if direction is None else None
        ctx.save_for_backward(x, down, up, magnitude, norm, weight, bias, hidden, kept, direction)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Any, ...]:
        """Gradients of x, A, B and m."""
        x, down, up, magnitude, norm, weight, bias, hidden, y, direction = ctx.saved_tensors
        ratio, needs_x = magnitude / norm, ctx.needs_input_grad[0]
        inputs = (x, down, up, weight, hidden, ratio)
        with torch.autocast(x.device.type, enabled=False):
            if direction is None:
                bias = torch.zeros_like(magnitude) if bias is None else bias
                grad_magnitude = (_dot(grad, y) - as_matrix(grad).sum(0) * bias) / magnitude
            else:
                grad_magnitude = _dot(grad, direction) / norm
            whole = direction is None and is_formed(x, weight, down, ctx.change)
            found = _gradients(grad, *inputs, ctx.change, whole=whole, needs_x=needs_x)
        return *found, grad_magnitude.to(magnitude.dtype), *[None] * 4


def _gradients(
    grad: Float[Tensor, "*batch rows"],
    x: Float[Tensor, "*batch cols"],
    down: Float[Tensor, "rank cols"],
    up: Float[Tensor, "rows rank"],
    weight: Float[Tensor, "rows cols"],
    hidden: Float[Tensor, "rank tokens"],
    ratio: Float[Tensor, "rows"],
    change: Change,
    *,
    whole: bool,
    needs_x: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """dL/dx, dL/dA and dL/dB; q goes into B and W' where W' is formed whole, else into G."""
    if whole:
        scaled = ratio[:, None] * up
        _, grad_down, grad_scaled = factor_gradients(grad, x, down, scaled, hidden, change)
        grad_x = grad @ _formed(weight, down, up, ratio, change) if needs_x else None
        return grad_x, grad_down, ratio[:, None] * grad_scaled
    grad = (grad * ratio).to(grad.dtype)
    kept = change.kept(x, hidden.dtype)
    grad_hidden, grad_down, grad_up = factor_gradients(grad, x, down, up, hidden, change, kept)
    grad_x = None
    if needs_x:
        grad_x = grad @ weight.to(grad.dtype)
        add_hidden_gradient(grad_x, grad_hidden, down, change, kept)
    return grad_x, grad_down, grad_up


def _formed(
    weight: Float[Tensor, "rows cols"],
    down: Float[Tensor, "rank cols"],
    up: Float[Tensor, "rows rank"],
    ratio: Float[Tensor, "rows"],
    change: Change,
) -> Float[Tensor, "rows cols"]:
    """q (W + scale B A)."""
    return formed(weight, down, up, change).mul_(ratio[:, None])


def _recoverable(x: Tensor, ratio: Float[Tensor, "rows"]) -> bool:
    exact = x.dtype in (torch.float32, torch.float64) and x.device.type == "cpu"
    return exact and x.dtype == ratio.dtype and bool((ratio.abs() > _SMALL).all())


def _dot(a: Tensor, b: Tensor) -> Float[Tensor, "rows"]:
    """The sum over tokens of a * b, in float32 at least."""
    wide = torch.promote_types(a.dtype, torch.float32)
    a, b = as_matrix(a), as_matrix(b)
    total = torch.zeros(a.shape[1], dtype=wide, device=a.device)
    for left, right in zip(a.split(block_rows(a)), b.split(block_rows(b)), strict=True):
        total += (left.to(wide) * right).sum(0)  # by blocks: the product stays in cache
    return total
