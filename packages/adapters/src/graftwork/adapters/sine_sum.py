"""W + gain sin(omega B A) by blocks of rows that stay in cache, keeping A and B alone."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from graftwork.adapters.blocks import block_rows


class SineSum(torch.autograd.Function):
    """The value and gradients. With G = dL/dW' and H = gain omega cos(omega B A) * G:
    dL/dB = H A^T and dL/dA = B^T H.
    """

    @staticmethod
    def forward(
        weight: Float[Tensor, "rows cols"], down: Tensor, up: Tensor, omega: float, gain: float
    ) -> Float[Tensor, "rows cols"]:
        """W + gain sin(omega B A), in the widest dtype involved."""
        down, up = _wide(weight, down, up)
        total = torch.empty_like(weight, dtype=up.dtype)
        for rows in _blocks(weight):
            sine = ((omega * up[rows]) @ down).sin_()
            torch.add(weight[rows].to(sine.dtype), sine, alpha=gain, out=total[rows])
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the small tensors."""
        weight, down, up, ctx.omega, ctx.gain = inputs
        ctx.save_for_backward(weight, down, up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        """Gradients of A and B; that of W is `grad` itself."""
        weight, down, up = ctx.saved_tensors
        wide_down, wide_up = _wide(weight, down, up)
        grad_down, grad_up = torch.zeros_like(wide_down), torch.empty_like(wide_up)
        for rows in _blocks(weight):
            inner = ((ctx.omega * wide_up[rows]) @ wide_down).cos_().mul_(grad[rows])
            grad_up[rows] = inner @ wide_down.T
            grad_down.addmm_(wide_up[rows].T, inner)
        factor = ctx.gain * ctx.omega
        grad_weight = grad.to(weight.dtype) if ctx.needs_input_grad[0] else None
        small = ((factor * grad_down).to(down.dtype), (factor * grad_up).to(up.dtype))
        return grad_weight, *small, None, None


def _wide(weight: Tensor, *factors: Tensor) -> list[Tensor]:
    dtype = torch.promote_types(torch.promote_types(weight.dtype, torch.float32), factors[0].dtype)
    return [factor.to(dtype) for factor in factors]


def _blocks(weight: Tensor) -> Iterator[slice]:
    size = block_rows(weight)
    return (slice(start, start + size) for start in range(0, len(weight), size))
