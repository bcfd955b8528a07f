"""Products of tokens with matrices of their instance's own, keeping x in its dtype."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from graftwork.nn.product import plain_autograd


def project(
    x: Float[Tensor, "instances tokens cols"], matrices: Float[Tensor, "instances rank cols"]
) -> Float[Tensor, "instances tokens rank"]:
    """A x of every token x with the A of its instance, in the dtype of A."""
    if plain_autograd():
        return x.to(matrices.dtype) @ matrices.mT
    return _Projection.apply(x, matrices)


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, matrices: Tensor) -> Tensor:
        return _product(x, matrices)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, matrices = ctx.saved_tensors
        grad_x = torch.bmm(grad, matrices).to(x.dtype)
        return grad_x, torch.bmm(grad.mT, x.to(grad.dtype))


class MixedProjection(torch.autograd.Function):
    """sum_i s_i A_i x with s = softmax(R mean(x) + c), keeping x and the parameters.

    Shapes: x (instances, tokens, cols), A (n, r, cols), R (n, cols), c (n,). By hand, so that x
    receives one gradient: those by way of its product and of its mean over t tokens are one
    product, [G, 1/t] [A; g] with g = dL/d mean(x).
    """

    @staticmethod
    def forward(x: Tensor, down: Tensor, router: Tensor, bias: Tensor) -> Tensor:
        """The mixture, (instances, tokens, r), in the dtype of A."""
        pooled = x.mean(1, dtype=down.dtype)
        return _product(x, _mixed(_styles(pooled, router, bias), down))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Keep the inputs."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        """Gradients of x, A, R and c."""
        x, down, router, bias = ctx.saved_tensors
        pooled = x.mean(1, dtype=down.dtype)
        styles = _styles(pooled, router, bias)
        grad_mixed = torch.bmm(grad.mT, x.to(down.dtype))
        grad_styles = torch.einsum("grc,nrc->gn", grad_mixed, down)
        grad_logits = styles * (grad_styles - (styles * grad_styles).sum(1, keepdim=True))
        share = grad.new_full((*grad.shape[:2], 1), 1 / x.shape[1])
        by_mean = (grad_logits @ router)[:, None]
        left, right = torch.cat([grad, share], 2), torch.cat([_mixed(styles, down), by_mean], 1)
        grad_down = torch.einsum("gn,grc->nrc", styles, grad_mixed)
        grads = grad_down, grad_logits.T @ pooled, grad_logits.sum(0)
        return torch.bmm(left, right).to(x.dtype), *grads


def lift(
    hidden: Float[Tensor, "*tokens rank"], up: Float[Tensor, "rows rank"]
) -> Float[Tensor, "*tokens rows"]:
    """B z of every token z."""
    if plain_autograd():
        return linear(hidden, up)
    flat = hidden.reshape(-1, hidden.shape[-1])
    return _Sum.apply(None, flat, up).view(*hidden.shape[:-1], -1)


def add_lifted(
    h: Float[Tensor, "*tokens rows"],
    hidden: Float[Tensor, "*tokens rank"],
    up: Float[Tensor, "rows rank"],
) -> Float[Tensor, "*tokens rows"]:
    """h + B z of every token z, in one pass over h."""
    if plain_autograd() or h.dtype != up.dtype:
        return h + lift(hidden, up).to(h.dtype)
    flat = hidden.reshape(-1, hidden.shape[-1])
    return _Sum.apply(h.reshape(-1, h.shape[-1]), flat, up).view(h.shape)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(h: Tensor | None, hidden: Tensor, up: Tensor) -> Tensor:
        return hidden @ up.T if h is None else torch.addmm(h, hidden, up.T)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        hidden, up = ctx.saved_tensors  # with tokens as columns here too
        grad_h = grad if ctx.needs_input_grad[0] else None
        return grad_h, (up.T @ grad.T).T, (hidden.T @ grad).T


def _product(x: Tensor, matrices: Tensor) -> Tensor:
    # With tokens as columns: a thin matrix times a wide one is the faster way round.
    return torch.bmm(matrices, x.to(matrices.dtype).mT).mT


def _mixed(styles: Tensor, down: Tensor) -> Tensor:
    return torch.einsum("gn,nrc->grc", styles, down)


def _styles(pooled: Tensor, router: Tensor, bias: Tensor) -> Tensor:
    return torch.softmax(linear(pooled, router, bias), 1)
