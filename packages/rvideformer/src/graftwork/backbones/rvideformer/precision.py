"""Layers that stay in float32 when their model is sent to half precision.

A 12-bit raw frame at low gain needs a relative accuracy of about 1e-4 at the output; bfloat16 has
4e-3. So the residual stream, the norms and the first and last convolution keep float32, and
attention and MLPs may be halved: `model.to(torch.bfloat16)` does just that.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

HALVES = (torch.bfloat16, torch.float16)


class KeepsFloat32(nn.Module):
    """Mixin that stands before a layer's class: `.to(half)` moves, but does not narrow."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        def wide(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return tensor.to(moved.device) if moved.dtype in HALVES else moved

        return super()._apply(wide, recurse)


class WideLayerNorm(KeepsFloat32, nn.LayerNorm):
    """LayerNorm over channels, in float32."""


class WideLinear(KeepsFloat32, nn.Linear):
    """Linear layer that writes the residual stream, in float32."""


class WideConv2d(KeepsFloat32, nn.Conv2d):
    """3x3 convolution between frames and features, in float32."""
