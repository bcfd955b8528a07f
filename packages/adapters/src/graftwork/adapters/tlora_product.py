"""The output of a linear layer under TLoRA from its input, forming no W T."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from graftwork.adapters.ring_chain import blocks, chain, chain_gradients, core_gradients
from graftwork.adapters.ring_steps import price, ring_steps


def worthwhile(tokens: int, rows: int, cores: Sequence[Tensor]) -> bool:
    """Whether T x for so many x is less work than W T for so many rows.

    T x costs its price c once forward and three times backward; W T once more, to have it again
    in the backward pass, and dL/d(W T) is a product as big as the layer's own.
    """
    c = price(cores)
    return 4 * c * tokens <= tokens * rows + 5 * c * rows


class TransformedProduct(torch.autograd.Function):
    """y = W T x + b + B A x, keeping x, A, B and the cores.

    Shapes: x (n, cols), W (rows, cols), A (rank, cols), B (rows, rank). With G = dL/dy:
    dL/d(T x) = W^T G, from which the chain finds the gradients of T and, with A^T B^T G added,
    of x. Works on some rows of x at a time, as columns.
    """

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        down: Tensor | None,
        up: Tensor | None,
        *cores: Tensor,
    ) -> Tensor:
        """y in the dtype of x."""
        with torch.autocast(x.device.type, enabled=False):
            steps = ring_steps(cores, _wide(x, cores))
            y = x.new_empty(len(x), len(weight))
            weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
            for rows in blocks(x, steps):
                columns = x[rows].T.to(steps[0].dtype)
                y[rows] = linear(chain(steps, columns).T.to(x.dtype), weight, bias)
                if down is not None and up is not None:
                    _add(y[rows], down @ columns, up)
            return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the small tensors, and x and W, which others hold as well."""
        x, weight, _, *small = inputs
        ctx.save_for_backward(x, weight, *small)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, A, B and the cores."""
        x, weight, down, up, *cores = ctx.saved_tensors
        with torch.autocast(x.device.type, enabled=False):
            steps = ring_steps(cores, _wide(x, cores))
            weight = weight.to(grad.dtype)
            grad_x = torch.empty_like(x)
            totals = [torch.zeros_like(step) for step in steps]
            grad_down, grad_up = (None if t is None else torch.zeros_like(t) for t in (down, up))
            for rows in blocks(x, steps):
                columns = x[rows].T.to(steps[0].dtype)
                inner = (weight.T @ grad[rows].T).to(columns.dtype)
                grad_columns = chain_gradients(steps, columns, inner, totals)
                if grad_down is not None and grad_up is not None:
                    wide = grad[rows].to(columns.dtype)
                    grad_hidden = up.T @ wide.T
                    grad_up.add_(((down @ columns) @ wide).T)
                    grad_down.add_(grad_hidden @ columns.T)
                    grad_columns.addmm_(down.T, grad_hidden)
                grad_x[rows] = grad_columns.T
            grad_cores = core_gradients(cores, totals)
        return grad_x, None, None, grad_down, grad_up, *grad_cores


def _wide(x: Tensor, cores: Sequence[Tensor]) -> torch.dtype:
    return torch.promote_types(x.dtype, cores[0].dtype)


def _add(y: Tensor, hidden: Float[Tensor, "rank n"], up: Float[Tensor, "rows rank"]) -> None:
    """y += B h, rounded once where y is narrower."""
    if y.dtype == hidden.dtype:
        y.addmm_(hidden.T, up.T)
    else:
        y.add_(hidden.T @ up.T)
