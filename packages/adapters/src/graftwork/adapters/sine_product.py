"""x -> gain sin(omega B A) x without keeping a matrix of the weight's size for backward."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import grad as convolutions

from graftwork.nn import Site


def sine(
    down: Float[Tensor, "rank cols"], up: Float[Tensor, "rows rank"], omega: float
) -> Float[Tensor, "rows cols"]:
    """sin(omega B A), in float32 at least."""
    return torch.sin(_angle(down, up, omega))


def can_rebuild(site: Site, x: Tensor) -> bool:
    """Whether `SineProduct` knows the gradient of the layer's operation."""
    if site.kind == "linear":
        return True
    layer = site.layer
    plain = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return plain and x.dim() == site.frozen().dim()


class SineProduct(torch.autograd.Function):
    """The layer's operation with D = gain sin(omega B A) in place of its weight.

    Keeps x, A and B, and rebuilds the rest. With G = dL/dD and H = gain omega cos(omega B A) * G:
    dL/dB = H A^T and dL/dA = B^T H.
    """

    @staticmethod
    def forward(
        x: Tensor, down: Tensor, up: Tensor, site: Site, omega: float, gain: float
    ) -> Tensor:
        """D x in the dtype of x, also under autocast."""
        with torch.autocast(x.device.type, enabled=False):
            return site.apply(x, sine(down, up, omega).mul_(gain).to(x.dtype))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the small tensors."""
        x, down, up, ctx.site, ctx.omega, ctx.gain = inputs
        ctx.save_for_backward(x, down, up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        """Gradients of x, A and B."""
        x, down, up = ctx.saved_tensors
        with torch.autocast(x.device.type, enabled=False):
            angle = _angle(down, up, ctx.omega)
            change = torch.sin(angle).mul_(ctx.gain).to(x.dtype)
            grad_x = _input_gradient(ctx.site, x, change, grad) if ctx.needs_input_grad[0] else None
            grad_change = _matrix_gradient(ctx.site, x, change, grad).to(angle.dtype)
            inner = angle.cos_().mul_(ctx.gain * ctx.omega).mul_(grad_change)
            grad_down = (up.to(inner.dtype).T @ inner).to(down.dtype)
            grad_up = (inner @ down.to(inner.dtype).T).to(up.dtype)
        return grad_x, grad_down, grad_up, None, None, None


def _angle(down: Tensor, up: Tensor, omega: float) -> Tensor:
    wide = torch.promote_types(down.dtype, torch.float32)
    return (omega * up.to(wide)) @ down.to(wide)


def _input_gradient(site: Site, x: Tensor, matrix: Tensor, grad: Tensor) -> Tensor:
    if site.kind == "linear":
        return grad @ matrix
    gradient = getattr(convolutions, f"{site.kind}_input")
    return gradient(x.shape, site.shaped(matrix), grad, *_geometry(site))


def _matrix_gradient(site: Site, x: Tensor, matrix: Tensor, grad: Tensor) -> Tensor:
    if site.kind == "linear":
        return grad.reshape(-1, grad.shape[-1]).T @ x.reshape(-1, x.shape[-1])
    gradient = getattr(convolutions, f"{site.kind}_weight")
    return gradient(x, site.shaped(matrix).shape, grad, *_geometry(site)).flatten(1)


def _geometry(site: Site) -> tuple[Any, ...]:
    layer = site.layer
    return layer.stride, layer.padding, layer.dilation, layer.groups
