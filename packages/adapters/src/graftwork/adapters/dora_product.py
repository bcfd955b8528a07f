"""The output of a linear layer under DoRA, with gradients by hand."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from graftwork.adapters.low_rank_product import (
    Change,
    add_low_rank,
    hidden_of,
    low_rank_gradients,
)

# A row below this share of its direction's length is not divided by to recover that direction.
_SMALL = 1e-2


class DoRAProduct(torch.autograd.Function):
    """y = q * d + b with d = W x + scale B A mask(x) and q = m / n.

    With G = dL/dy, dL/dm = sum over tokens of G * d / n, and q * G takes the place of G in LoRA's
    gradients. For d the output itself is kept, which what comes after the layer usually keeps
    anyway: d / n = (y - b) / m. Where some m is near 0, in half precision, and on accelerators,
    which would have to wait for the answer to that question, d is kept.
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
            direction = torch.nn.functional.linear(x, weight.to(x.dtype))
            hidden = hidden_of(x, down, change)
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
        with torch.autocast(x.device.type, enabled=False):
            if direction is None:
                bias = torch.zeros_like(magnitude) if bias is None else bias
                grad_magnitude = (_dot(grad, y) - _matrix(grad).sum(0) * bias) / magnitude
            else:
                grad_magnitude = _dot(grad, direction) / norm
            grad = (grad * (magnitude / norm)).to(grad.dtype)
            gradients = low_rank_gradients(
                grad, x, down, up, weight, hidden, ctx.change, ctx.needs_input_grad[0]
            )
        return *gradients, grad_magnitude.to(magnitude.dtype), *[None] * 4


def _recoverable(direction: Tensor, ratio: Float[Tensor, "rows"]) -> bool:
    exact = direction.dtype in (torch.float32, torch.float64) and direction.device.type == "cpu"
    return exact and direction.dtype == ratio.dtype and bool((ratio.abs() > _SMALL).all())


def _dot(a: Tensor, b: Tensor) -> Float[Tensor, "rows"]:
    """The sum over tokens of a * b, in float32 at least."""
    wide = torch.promote_types(a.dtype, torch.float32)
    return (_matrix(a).to(wide) * _matrix(b)).sum(0)


def _matrix(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])
