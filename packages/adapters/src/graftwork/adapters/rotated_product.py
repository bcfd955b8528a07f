"""x -> W R^T x + b on a linear layer, R block-diagonal, keeping x and R alone.

With u = R^T x the gradients are dL/du = W^T dL/dy, dL/dx = R dL/du and dL/dR = x (dL/du)^T block by
block: no product as large as the layer's own besides the two that it makes anyway. The forward
pass rotates the smaller of W and x.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from graftwork.adapters.rotation import outer, turned
from graftwork.nn.product import in_layer_dtype


def rotated_product(
    x: Float[Tensor, "*batch cols"],
    blocks: Float[Tensor, "blocks b b"],
    weight: Float[Tensor, "rows cols"],
    bias: Float[Tensor, "rows"] | None,
) -> Float[Tensor, "*batch rows"]:
    """W R^T x + b in the dtype that the layer computes in."""
    product: Tensor = _RotatedProduct.apply(in_layer_dtype(x), blocks, weight, bias)
    return product


class _RotatedProduct(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, blocks: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            if x.shape[:-1].numel() > len(weight):
                weight = turned(weight, blocks)
            else:
                x = turned(x, blocks.mT)
            bias = None if bias is None else bias.to(x.dtype)
            return torch.nn.functional.linear(x, weight.to(x.dtype), bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, blocks, weight, _ = inputs
        ctx.save_for_backward(x, blocks, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, blocks, weight = ctx.saved_tensors
        grad_x = grad_blocks = None
        with torch.autocast(x.device.type, enabled=False):
            inner = grad @ weight.to(grad.dtype)
            if ctx.needs_input_grad[0]:
                grad_x = turned(inner, blocks)
            if ctx.needs_input_grad[1]:
                grad_blocks = outer(x, inner, blocks)
        return grad_x, grad_blocks, None, None
