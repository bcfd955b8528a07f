"""softmax(q k^T / sqrt(d) + b) v, with b learnt and shared by all windows.

torch's fused attention is the fast path. On a CPU it gives b no gradient and falls back to a form
that keeps every logit; so where b trains, the backward pass here goes through a few windows at a
time and recomputes theirs:

    P = softmax(s q k^T + b)    dV = P^T dO    dP = dO V^T
    dS = P (dP - sum_j dO O)    db = sum over windows of dS
    dQ = s dS K                 dK = s dS^T Q
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Queries = Float[Tensor, "windows heads queries dims"]
Keys = Float[Tensor, "windows heads keys dims"]

# Bytes of logits that are recomputed at once: they should fit a CPU's cache, or keep a GPU busy.
_AT_ONCE = {"cpu": 4 << 20}
_AT_ONCE_ELSEWHERE = 256 << 20


def attend(q: Queries, k: Keys, v: Keys, b: Tensor | None, *, learnt: bool) -> Queries:
    """Attention of each window and head; `b` (heads or 1, queries, keys) is added to the logits.

    `learnt` tells that b needs a gradient.
    """
    if learnt and torch.is_grad_enabled():
        return _WithBias.apply(q, k, v, b)  # type: ignore[no-any-return]
    return _fused(q, k, v, b)


def _fused(q: Queries, k: Keys, v: Keys, b: Tensor | None) -> Queries:
    dims = q.shape[-1]
    # A GPU's fused kernels read heads in whole multiples of 8; zeros change no product.
    spare = -dims % 8 if q.is_cuda else 0
    if spare:
        q, k, v = (F.pad(each, (0, spare)) for each in (q, k, v))
    mask = None if b is None else b[None]
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=dims**-0.5)
    return out[..., :dims]


class _WithBias(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, b: Tensor) -> Tensor:
        out = _fused(q.detach(), k.detach(), v.detach(), b.detach())
        ctx.save_for_backward(q, k, v, b, out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        q, k, v, b, out = ctx.saved_tensors
        each = b.numel() * b.element_size() * q.shape[1] // b.shape[0]
        step = max(1, _AT_ONCE.get(q.device.type, _AT_ONCE_ELSEWHERE) // each)
        chunks = zip(*(tensor.split(step) for tensor in (q, k, v, out, grad)), strict=True)
        db = torch.zeros_like(b, dtype=torch.promote_types(b.dtype, torch.float32))
        parts = [_backward(chunk, b, db) for chunk in chunks]
        dq, dk, dv = (torch.cat(part) for part in zip(*parts, strict=True))
        return dq, dk, dv, db.to(b.dtype)


def _backward(chunk: tuple[Tensor, ...], b: Tensor, db: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """dQ, dK and dV of a few windows; their part of db is added to it."""
    q, k, v, out, grad = chunk
    scale = q.shape[-1] ** -0.5
    p = ((scale * q) @ k.mT).add_(b).softmax(-1)
    dv = p.mT @ grad
    ds = (grad @ v.mT).sub_((grad * out).sum(-1, keepdim=True)).mul_(p)
    db += ds.sum(0, dtype=db.dtype)
    return (ds @ k).mul_(scale), (ds.mT @ q).mul_(scale), dv
