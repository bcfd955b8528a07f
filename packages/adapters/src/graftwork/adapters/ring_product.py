"""x -> T x for a tensor-ring matrix T, keeping x and the cores for the backward pass."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from graftwork.adapters.ring_chain import blocks, chain, chain_gradients, core_gradients
from graftwork.adapters.ring_steps import ring_steps
from graftwork.nn.product import plain_autograd


def ring_product(
    vectors: Float[Tensor, "n cols"], cores: Sequence[Float[Tensor, "_rows _cols ring ring"]]
) -> Float[Tensor, "n rows"]:
    """T x for every row x, where T[(i1..iD), (j1..jD)] = trace(A1[i1,j1] A2[i2,j2] ... AD[iD,jD]).

    One core after the other meets its index of x, which takes R^2 I1 + R^3 (I2 + ...) + R^2 ID
    multiplications for each element of x; T is formed only where it has few columns for that.
    Works in the wider dtype of the two, and answers in it.

    Args:
        vectors: x, one in each row.
        cores: A^d, at least two. Indices are big-endian: i is (i1, ..., iD) as in a row-major
            tensor of shape (I1, ..., ID).
    """
    dtype = torch.promote_types(vectors.dtype, cores[0].dtype)
    vectors = vectors.to(dtype)
    if plain_autograd():
        return chain(ring_steps(cores, dtype), vectors.T).T
    return _RingProduct.apply(vectors, *cores)


class _RingProduct(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, *cores: Tensor) -> Tensor:
        steps = ring_steps(cores, x.dtype)
        return torch.cat([chain(steps, x[rows].T) for rows in blocks(x, steps)], 1).T

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        x, *cores = ctx.saved_tensors
        steps = ring_steps(cores, x.dtype)
        grad_x = torch.empty_like(x)
        totals = [torch.zeros_like(step) for step in steps]
        for rows in blocks(x, steps):
            grad_x[rows] = chain_gradients(steps, x[rows].T, grad[rows].T, totals).T
        return grad_x, *core_gradients(cores, totals)
