"""Block-diagonal rotations: from numbers to Cayley's transform, and onto a vector's blocks."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from graftwork.nn.product import plain_autograd

Cayley = Literal["exact", "neumann"]
"""How a skew-symmetric matrix becomes a rotation."""


def skew(entries: Float[Tensor, "blocks entries"], size: int) -> Float[Tensor, "blocks b b"]:
    """Q = U - U^T, the upper triangles U filled row by row."""
    rows, cols = torch.triu_indices(size, size, 1, device=entries.device)
    places = (rows * size + cols).expand_as(entries)
    upper = entries.new_zeros(len(entries), size * size).scatter(1, places, entries)
    upper = upper.view(-1, size, size)
    return upper - upper.mT


def rotations(q: Float[Tensor, "blocks b b"], cayley: Cayley) -> Float[Tensor, "blocks b b"]:
    """The rotation R that belongs to a skew-symmetric Q, in the sign convention of PEFT.

    - "exact": (I - Q) (I + Q)^-1, orthogonal.
    - "neumann": I + 2 Q + 2 Q^2 + 2 Q^3 + Q^4, near (I + Q) (I - Q)^-1, which is the *inverse*
      of the rotation that "exact" gives for the same Q.
    """
    eye = torch.eye(q.shape[-1], dtype=q.dtype, device=q.device)
    if cayley == "exact":
        inverse: Tensor = torch.linalg.inv(eye + q)
        return 2 * inverse - eye  # I - Q = 2 I - (I + Q)
    square = q @ q
    return (eye + 2 * q + square) @ (eye + square)


def turn(
    x: Float[Tensor, "*shape"], blocks: Float[Tensor, "blocks b b"], axis: int = -1
) -> Float[Tensor, "*shape"]:
    """blockdiag(R) x along an axis, in the dtype of x, keeping x and R for backward."""
    if plain_autograd():
        return turned(x, blocks, axis)
    rotated: Tensor = _Turn.apply(x, blocks, axis)
    return rotated


class _Turn(torch.autograd.Function):
    """Keeps x as it came, and no copy of it in the dtype of R."""

    @staticmethod
    def forward(x: Tensor, blocks: Tensor, axis: int) -> Tensor:
        return turned(x, blocks, axis)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, blocks, ctx.axis = inputs
        ctx.save_for_backward(x, blocks)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, blocks = ctx.saved_tensors
        grad_x = grad_blocks = None
        if ctx.needs_input_grad[0]:
            grad_x = turned(grad, blocks.mT, ctx.axis)
        if ctx.needs_input_grad[1]:
            grad_blocks = outer(grad, x, blocks, ctx.axis)
        return grad_x, grad_blocks, None


def turned(
    x: Float[Tensor, "*shape"], blocks: Float[Tensor, "blocks b b"], axis: int = -1
) -> Float[Tensor, "*shape"]:
    """blockdiag(R) x along an axis, computed in the wider dtype and given in that of x."""
    wide = torch.promote_types(x.dtype, blocks.dtype)
    with torch.autocast(x.device.type, enabled=False):
        parts, blocks = _by_block(x.to(wide), blocks, axis), blocks.to(wide)
        if axis == -1:
            rotated = torch.bmm(parts.transpose(0, 1), blocks.mT).transpose(0, 1)
        else:
            rotated = blocks @ parts
        return rotated.reshape(x.shape).to(x.dtype)


def outer(
    x: Float[Tensor, "*shape"],
    y: Float[Tensor, "*shape"],
    blocks: Float[Tensor, "blocks b b"],
    axis: int = -1,
) -> Float[Tensor, "blocks b b"]:
    """sum x y^T over all but the axis, block by block, in the shape and dtype of `blocks`."""
    with torch.autocast(x.device.type, enabled=False):
        x, y = (_by_block(tensor.to(blocks.dtype), blocks, axis) for tensor in (x, y))
        if axis == -1:
            return torch.bmm(x.permute(1, 2, 0), y.transpose(0, 1))
        return (x @ y.mT).sum(0)


def _by_block(x: Tensor, blocks: Tensor, axis: int) -> Tensor:
    """(tokens, blocks, b) for the last axis, (batch, blocks, b, places) for an earlier one."""
    count, size, _ = blocks.shape
    if axis == -1:
        return x.reshape(-1, count, size)
    places = x.shape[axis + 1 :].numel()
    return x.reshape(-1, count, size, places)
