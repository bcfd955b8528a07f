"""Sine-LoRA's weight by fused Triton kernels, which `benchmarks/adapters.py` tries on a GPU.

    TRITON_INTERPRET=1 python benchmarks/kernels/sine_triton.py

checks values and gradients against the equation, without a GPU; `pip install triton` first.

The plain path writes B A, its sine and the sum one after the other. Here one kernel reads W, A and
B and writes W', and in the backward pass one reads dL/dW' and writes what A and B multiply.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS, COLS = 32, 128


@triton.jit
def _angle(down, up, rows, cols, n_rows, n_cols, rank: tl.constexpr):  # type: ignore[no-untyped-def]
    """A tile of B A, the sum over the rank one by one: no tensor core rounds it to TF32."""
    angle = tl.zeros((rows.shape[0], cols.shape[0]), dtype=tl.float32)
    for k in range(rank):
        left = tl.load(up + rows * rank + k, mask=rows < n_rows, other=0.0)
        right = tl.load(down + k * n_cols + cols, mask=cols < n_cols, other=0.0)
        angle += left[:, None] * right[None, :]
    return angle


@triton.jit
def _sum(  # type: ignore[no-untyped-def]
    weight, down, up, total, omega, gain, n_rows, n_cols,
    rank: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0) * R + tl.arange(0, R)
    cols = tl.program_id(1) * C + tl.arange(0, C)
    place = rows[:, None] * n_cols + cols[None, :]
    inside = (rows < n_rows)[:, None] & (cols < n_cols)[None, :]
    sine = tl.sin(omega * _angle(down, up, rows, cols, n_rows, n_cols, rank))
    frozen = tl.load(weight + place, mask=inside, other=0.0).to(tl.float32)
    tl.store(total + place, frozen + gain * sine, mask=inside)


@triton.jit
def _inner(  # type: ignore[no-untyped-def]
    grad, down, up, inner, omega, factor, n_rows, n_cols,
    rank: tl.constexpr, R: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0) * R + tl.arange(0, R)
    cols = tl.program_id(1) * C + tl.arange(0, C)
    place = rows[:, None] * n_cols + cols[None, :]
    inside = (rows < n_rows)[:, None] & (cols < n_cols)[None, :]
    cosine = tl.cos(omega * _angle(down, up, rows, cols, n_rows, n_cols, rank))
    value = factor * cosine * tl.load(grad + place, mask=inside, other=0.0).to(tl.float32)
    tl.store(inner + place, value, mask=inside)


class TritonSineSum(torch.autograd.Function):
    """W + gain sin(omega B A) with the gradients of A and B, as `graftwork.adapters.sine_sum`.

    Shapes: W (rows, cols), A (rank, cols), B (rows, rank), all contiguous; A and B in float32.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, down: Tensor, up: Tensor, omega: float, gain: float
    ) -> Tensor:
        ctx.save_for_backward(down, up)
        ctx.omega, ctx.gain = omega, gain
        total = torch.empty_like(weight)
        _sum[_grid(weight)](
            weight, down, up, total, omega, gain, *weight.shape, rank=len(down), R=ROWS, C=COLS
        )
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        down, up = ctx.saved_tensors
        grad = grad.contiguous()
        inner = torch.empty(grad.shape, device=grad.device)
        factor = ctx.gain * ctx.omega
        _inner[_grid(grad)](
            grad, down, up, inner, ctx.omega, factor, *grad.shape, rank=len(down), R=ROWS, C=COLS
        )
        return None, up.T @ inner, inner @ down.T, None, None


def _grid(matrix: Tensor) -> tuple[int, int]:
    return triton.cdiv(matrix.shape[0], ROWS), triton.cdiv(matrix.shape[1], COLS)


def main() -> None:
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    weight = torch.randn(70, 150, device=device)
    down, up = torch.randn(5, 150, device=device), torch.randn(70, 5, device=device)
    factors = [tensor.requires_grad_() for tensor in (down, up)]
    ours = TritonSineSum.apply(weight, *factors, 3.0, 0.2)
    exact = weight.double() + 0.2 * torch.sin(3.0 * up.double() @ down.double())
    seed = torch.randn_like(weight)
    found = torch.autograd.grad((ours * seed).sum(), factors)
    wanted = torch.autograd.grad((exact * seed).sum(), factors)
    torch.testing.assert_close(ours, exact.float(), rtol=1e-5, atol=1e-5)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    print(f"value and gradients are the equation's, on {device}")


if __name__ == "__main__":
    main()
