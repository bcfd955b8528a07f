"""x -> (W + C (x) F) x, C (x) F the Kronecker product of two small matrices.

The Kronecker product is an outer product and cheap to form; its gradient with respect to a dense
matrix is not, and costs a product as large as the layer's own. Here the gradients of C and F are
taken from x and dL/dy by the small factors alone, and nothing but x, C and F is kept.

With C (a, b), F (c, d), x as (tokens, b, d), G = dL/dy as (tokens, a, c), and sums over tokens:
dL/dC = sum G (x F^T)^T and dL/dF = sum (C^T G)^T x. Under dropout rows of C (x) F are zero, and so
are those of G here.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from graftwork.adapters.blocks import block_rows
from graftwork.nn import Site
from graftwork.nn.product import in_layer_dtype, input_gradient


def kronecker(coarse: Float[Tensor, "a b"], fine: Float[Tensor, "c d"]) -> Float[Tensor, "a_c b_d"]:
    """The Kronecker product: blocks of the size of `fine`, times the entries of `coarse`."""
    rows, cols = len(coarse) * len(fine), coarse.shape[1] * fine.shape[1]
    return (coarse[:, None, :, None] * fine[None, :, None, :]).reshape(rows, cols)


def pays(coarse: Tensor, fine: Tensor) -> bool:
    """Whether the small products below take fewer operations than one of the layer's own size.

    They take 2 (b d c + a b c) for each token, the layer's own a b c d.
    """
    return 2 / len(coarse) + 2 / fine.shape[1] < 1


def kronecker_product(
    site: Site,
    x: Tensor,
    coarse: Float[Tensor, "a b"],
    fine: Float[Tensor, "c d"],
    bias: Tensor | None,
    kept: Bool[Tensor, "a_c"] | None = None,
) -> Tensor:
    """(W + C (x) F) x + b on a linear layer or a convolution with a kernel of one.

    `kept` says which rows of C (x) F are not dropped; all by default.
    """
    x = in_layer_dtype(x)
    return _KroneckerProduct.apply(x, coarse, fine, site, bias, site.frozen(), kept)


class _KroneckerProduct(torch.autograd.Function):
    @staticmethod
    def forward(
        x: Tensor,
        coarse: Tensor,
        fine: Tensor,
        site: Site,
        bias: Tensor | None,
        frozen: Tensor,
        kept: Tensor | None,
    ) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            matrix = _changed(site, coarse, fine, kept).to(x.dtype)
            return site.apply(x, matrix, None if bias is None else bias.to(x.dtype))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, coarse, fine, ctx.site, _, frozen, ctx.kept = inputs
        # The frozen weight is kept for the sake of torch's check that nobody has changed it.
        ctx.save_for_backward(x, coarse, fine, frozen)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, coarse, fine, _ = ctx.saved_tensors
        grad_x = None
        with torch.autocast(x.device.type, enabled=False):
            if ctx.needs_input_grad[0]:
                matrix = _changed(ctx.site, coarse, fine, ctx.kept).to(grad.dtype)
                grad_x = input_gradient(ctx.site, x, matrix, grad)
            output = _tokens(ctx.site, grad)
            output = output if ctx.kept is None else output * ctx.kept
            grad_coarse, grad_fine = factor_gradients(_tokens(ctx.site, x), output, coarse, fine)
        return grad_x, grad_coarse, grad_fine, *[None] * 4


def factor_gradients(
    x: Float[Tensor, "tokens b_d"],
    grad: Float[Tensor, "tokens a_c"],
    coarse: Float[Tensor, "a b"],
    fine: Float[Tensor, "c d"],
) -> tuple[Float[Tensor, "a b"], Float[Tensor, "c d"]]:
    """dL/dC and dL/dF from the layer's input and dL/dy, by blocks of tokens that stay in cache."""
    (a, b), (c, d) = coarse.shape, fine.shape
    size = block_rows(x)
    grad_coarse, grad_fine = torch.zeros_like(coarse), torch.zeros_like(fine)
    for some, some_grad in zip(x.split(size), grad.split(size), strict=True):
        flat = some.to(fine.dtype).reshape(-1, d)
        output = some_grad.to(fine.dtype).reshape(-1, a, c)
        hidden = (flat @ fine.T).view(-1, b, c)
        grad_coarse += torch.bmm(output, hidden.mT).sum(0)
        grad_fine.addmm_((coarse.T @ output).view(-1, c).T, flat)
    return grad_coarse, grad_fine


def _changed(site: Site, coarse: Tensor, fine: Tensor, kept: Tensor | None) -> Tensor:
    weight = site.weight()
    weight = weight.to(torch.promote_types(weight.dtype, fine.dtype))
    (a, b), (c, d) = coarse.shape, fine.shape
    blocks = weight.reshape(a, c, b, d)
    first = coarse[:, None, :, None]
    if kept is not None:
        first = first * kept.view(a, c, 1, 1)
    return torch.addcmul(blocks, first, fine[None, :, None, :]).view_as(weight)


def _tokens(site: Site, features: Tensor) -> Tensor:
    """Features last, everything else in one axis."""
    if site.kind.startswith("conv"):
        features = features.movedim(1 - site.frozen().dim(), -1)
    return features.reshape(-1, features.shape[-1])
