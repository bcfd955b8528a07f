"""h + dh (h - mu) / sigma: a change of a feature map's deviation, channel by channel."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from graftwork.nn.product import plain_autograd

EPSILON = 1e-5
"""Added to the variance, as instance normalisation does."""

Change = Callable[[Tensor, Tensor], Tensor]
"""dh from its hidden features and B."""


def modulate(
    h: Tensor, hidden: Tensor, up: Tensor, *, change: Change, dims: Sequence[int]
) -> Tensor:
    """h + dh (h - mu) / sigma with dh = change(hidden, up), in the dtype of h.

    Keeps h, the hidden features and B; what has the size of h besides is made again for backward.

    Args:
        h: a feature map.
        hidden: what dh is made of, in the dtype that dh is computed in.
        up: the matrix that makes it.
        change: makes it; linear in both.
        dims: the axes of h that mu and sigma are taken over: tokens or pixels.
    """
    if plain_autograd():
        wide = h.to(hidden.dtype)
        variance, mean = torch.var_mean(wide, tuple(dims), correction=0, keepdim=True)
        z = (wide - mean) * torch.rsqrt(variance + EPSILON)
        return (h + change(hidden, up) * z).to(h.dtype)
    return _Modulation.apply(h, hidden, up, change, tuple(dims))


class _Modulation(torch.autograd.Function):
    """With z = (h - mu) / sigma, G = dL/dy and u = G dh: dL/d(dh) = G z and
    dL/dh = G + (u - mean(u) - z mean(u z)) / sigma."""

    @staticmethod
    def forward(h: Tensor, hidden: Tensor, up: Tensor, change: Change, dims: Any) -> Tensor:
        z, _ = _normalised(h.to(hidden.dtype), dims)
        return z.mul_(change(hidden, up)).add_(h).to(h.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        h, hidden, up, ctx.change, ctx.dims = inputs
        ctx.save_for_backward(h, hidden, up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, hidden, up = ctx.saved_tensors
        dims, wide = ctx.dims, grad.to(hidden.dtype)
        z, inverse = _normalised(h.to(hidden.dtype), dims)
        with torch.enable_grad():
            inputs = [hidden.detach().requires_grad_(), up.detach().requires_grad_()]
            made = ctx.change(*inputs)
        grad_hidden, grad_up = torch.autograd.grad(made, inputs, wide * z)
        if not ctx.needs_input_grad[0]:
            return None, grad_hidden, grad_up, None, None
        u = made.detach().mul_(wide)
        along = (u * z).mean(dims, keepdim=True)
        u.sub_(u.mean(dims, keepdim=True)).sub_(z.mul_(along)).mul_(inverse).add_(wide)
        return u.to(grad.dtype), grad_hidden, grad_up, None, None


def _normalised(h: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """(h - mu) / sigma and 1 / sigma."""
    # Several times faster on a CPU than torch.var_mean, and as exact: the mean is off first.
    z = h - h.mean(dims, keepdim=True)
    inverse = torch.rsqrt(z.square().mean(dims, keepdim=True) + EPSILON)
    return z.mul_(inverse), inverse
