"""x -> W' x + b where W' is formed from a few small tensors, keeping those and x alone.

Autograd would keep W', and with it what led to W': several matrices of the weight's size for
every layer. Here W' is formed once more for the backward pass.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import grad as convolutions

from graftwork.nn.site import Site

Form = Callable[[], Tensor]
"""Forms W' (rows, cols) in the dtype that the layer computes in."""


def product(
    site: Site, x: Tensor, form: Form, inputs: Sequence[Tensor], bias: Tensor | None = None
) -> Tensor:
    """The layer's operation with the matrix that `form` makes, in the dtype of the layer.

    Args:
        site: the layer.
        x: its input.
        form: makes W' (rows, cols) from `inputs` by differentiable operations.
        inputs: every tensor that requires a gradient and that `form` reads.
        bias: added to the output.
    """
    if plain_autograd() or site.frozen().requires_grad or not torch.is_grad_enabled():
        return site.apply(x, form(), bias)
    x = in_layer_dtype(x)
    return _Product.apply(x, site, form, bias, site.frozen(), *inputs)


def plain_autograd() -> bool:
    """Whether to leave all to autograd: a compiler plans memory by itself, and the transforms of
    `torch.func` know nothing of hand-written gradients."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def in_layer_dtype(x: Tensor) -> Tensor:
    """x as torch's own layers take it: under autocast in autocast's dtype."""
    device = x.device.type
    if not x.is_floating_point() or not torch.is_autocast_enabled(device):
        return x
    return x.to(torch.get_autocast_dtype(device))


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        x: Tensor, site: Site, form: Form, bias: Tensor | None, frozen: Tensor, *inputs: Tensor
    ) -> Tensor:
        with torch.autocast(frozen.device.type, enabled=False):
            matrix = form()
            dtype = x.dtype if x.is_floating_point() else matrix.dtype
            return site.apply(x, matrix.to(dtype), None if bias is None else bias.to(dtype))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, ctx.site, ctx.form, _, frozen, *small = inputs
        # The frozen weight is kept for the sake of torch's check that nobody has changed it.
        ctx.save_for_backward(x, frozen, *small)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, frozen, *small = ctx.saved_tensors
        with torch.autocast(frozen.device.type, enabled=False):
            with torch.enable_grad():
                matrix = ctx.form()
            grad_x = None
            if ctx.needs_input_grad[0]:
                grad_x = input_gradient(ctx.site, x, matrix.detach().to(grad.dtype), grad)
            wanted = [tensor for tensor in small if tensor.requires_grad]
            grad_matrix = matrix_gradient(ctx.site, x, grad).to(matrix.dtype)
            found = torch.autograd.grad(matrix, wanted, grad_matrix, allow_unused=True)
        if all(gradient is None for gradient in found):
            raise RuntimeError(
                f"{ctx.site.name}: the adapter's parameters were replaced between the forward and "
                "the backward pass (torch.func.functional_call does); take gradients by torch.func"
            )
        gradients = iter(found)
        return grad_x, *[None] * 4, *(next(gradients) if t.requires_grad else None for t in small)


def input_gradient(site: Site, x: Tensor, matrix: Float[Tensor, "rows cols"], grad: Tensor) -> Any:
    """dL/dx of y = W' x, given dL/dy; of the shape and dtype of x."""
    if site.kind == "linear":
        return grad @ matrix
    if not _plain_convolution(site, x):
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(site.apply(x, matrix), x, grad)[0]
    gradient = getattr(convolutions, f"{site.kind}_input")
    return gradient(x.shape, site.shaped(matrix), grad, *_geometry(site))


def matrix_gradient(site: Site, x: Tensor, grad: Tensor) -> Float[Tensor, "rows cols"]:
    """dL/dW' of y = W' x, given dL/dy."""
    if site.kind == "linear":
        return grad.reshape(-1, grad.shape[-1]).T @ x.reshape(-1, x.shape[-1])
    rows = grad.shape[-1] if site.kind == "embedding" else grad.shape[1 - site.frozen().dim()]
    if not _plain_convolution(site, x):
        matrix = grad.new_zeros(rows, site.cols).requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(site.apply(x, matrix), matrix, grad)[0]
    gradient = getattr(convolutions, f"{site.kind}_weight")
    shape = (rows, *site.frozen().shape[1:])
    return gradient(x, shape, grad, *_geometry(site)).flatten(1)


def _plain_convolution(site: Site, x: Tensor) -> bool:
    """Whether torch's gradient functions know the layer: zero padding by numbers, and a batch."""
    if not site.kind.startswith("conv"):
        return False
    layer = site.layer
    numbers = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return numbers and x.dim() == site.frozen().dim()


def _geometry(site: Site) -> tuple[Any, ...]:
    layer = site.layer
    return layer.stride, layer.padding, layer.dilation, layer.groups
