"""W + scale (B1 A1) * (B2 A2) by blocks of rows that stay in cache, keeping the factors alone."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from graftwork.adapters.blocks import block_rows


class HadamardSum(torch.autograd.Function):
    """The value and gradients. With G = dL/dW', H1 = scale (B2 A2) * G and H2 = scale (B1 A1) * G:
    dL/dBi = Hi Ai^T and dL/dAi = Bi^T Hi.
    """

    @staticmethod
    def forward(
        weight: Float[Tensor, "rows cols"],
        up1: Float[Tensor, "rows rank"],
        down1: Float[Tensor, "rank cols"],
        up2: Float[Tensor, "rows rank"],
        down2: Float[Tensor, "rank cols"],
        scale: float,
    ) -> Float[Tensor, "rows cols"]:
        """W' in the dtype of the factors, at least that of W."""
        up1, down1, up2, down2 = _wide(weight, up1, down1, up2, down2)
        total = torch.empty_like(weight, dtype=up1.dtype)
        for rows in _blocks(weight):
            change = (up1[rows] @ down1).mul_(up2[rows] @ down2)
            torch.add(weight[rows].to(change.dtype), change, alpha=scale, out=total[rows])
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the small tensors."""
        *tensors, ctx.scale = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        """Gradients of the factors; that of W is `grad` itself."""
        weight, *factors = ctx.saved_tensors
        wide = _wide(weight, *factors)
        up1, down1, up2, down2 = wide
        found = [torch.zeros_like(factor) for factor in wide]
        for rows in _blocks(weight):
            first, second = up1[rows] @ down1, up2[rows] @ down2
            _add(found[:2], rows, up1, down1, second.mul_(grad[rows]))
            _add(found[2:], rows, up2, down2, first.mul_(grad[rows]))
        grad_weight = grad.to(weight.dtype) if ctx.needs_input_grad[0] else None
        small = ((ctx.scale * g).to(factor.dtype) for g, factor in zip(found, factors, strict=True))
        return grad_weight, *small, None


def _add(found: list[Tensor], rows: slice, up: Tensor, down: Tensor, inner: Tensor) -> None:
    grad_up, grad_down = found
    torch.mm(inner, down.T, out=grad_up[rows])
    grad_down.addmm_(up[rows].T, inner)


def _wide(weight: Tensor, *factors: Tensor) -> list[Tensor]:
    dtype = torch.promote_types(weight.dtype, factors[0].dtype)
    return [factor.to(dtype) for factor in factors]


def _blocks(weight: Tensor) -> list[slice]:
    size = block_rows(weight)
    return [slice(start, start + size) for start in range(0, len(weight), size)]
