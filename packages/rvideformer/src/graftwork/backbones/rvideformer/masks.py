"""What a class of windows adds to its attention logits, and which coarse tokens a window sees."""

import torch
from torch import Tensor
from torch.nn import functional as F

from graftwork.backbones.rvideformer.axis import AxisClass
from graftwork.backbones.rvideformer.caching import cached
from graftwork.backbones.rvideformer.windows import Geometry

# What keeps two tokens apart; a row where nothing else is left stays a number.
APART = -100.0

ClassAxes = tuple[AxisClass, AxisClass, AxisClass]
Mask = Tensor | None
_ONE_FRAME = AxisClass(regions=(0,), valid=(True,), coarse_valid=(True,))


@cached
def window_order(geometry: Geometry, device: torch.device) -> tuple[Tensor, Tensor]:
    """The windows sorted by class, and the way back."""
    order = torch.tensor(geometry.order, device=device)
    return order, order.argsort()


@cached
def coarse_cells(geometry: Geometry, device: torch.device) -> Tensor:
    """For each window, in class order, its N cells of the coarse map (frames, rows, columns)."""
    f, r, c = (
        torch.tensor(starts, device=device)[:, None] + torch.arange(side, device=device)
        for starts, side in zip(geometry.starts, geometry.window, strict=True)
    )
    rows, cols = geometry.coarse
    cells = f[:, None, None, :, None, None] * rows + r[:, None, None, :, None]
    cells = (cells * cols + c[:, None, None, :]).flatten(3).flatten(0, 2)
    return cells[window_order(geometry, device)[0]]


@cached
def class_masks(
    axes: ClassAxes, dtype: torch.dtype, device: torch.device
) -> tuple[Mask, Mask, Mask]:
    """Masks of the window, pooled and coarse branch: (N, N), (N, N/4), (N, N).

    Pooled keys stand at the even rows and columns of the window; a coarse key belongs to the
    region of the window's position with its number. None where all tokens meet.
    """
    if all(_plain(axis) for axis in axes):
        return None, None, None
    regions = [torch.tensor(axis.regions, device=device) for axis in axes]
    labels = torch.cartesian_prod(*regions)
    apart = (labels[:, None] != labels).any(-1)
    even = apart.unflatten(1, [len(axis.regions) for axis in axes])[..., ::2, ::2].flatten(1)
    frames, *plane = (axis.valid for axis in axes)
    pooled = [tuple(map(any, zip(each[::2], each[1::2], strict=True))) for each in plane]
    return (
        _mask(apart, [frames, *plane], dtype),
        _mask(even, [frames, *pooled], dtype),
        _mask(apart, [axis.coarse_valid for axis in axes], dtype),
    )


def _plain(axis: AxisClass) -> bool:
    return not any(axis.regions) and all(axis.valid) and all(axis.coarse_valid)


def _mask(apart: Tensor, valid: list[tuple[bool, ...]], dtype: torch.dtype) -> Tensor:
    frames, rows, cols = (torch.tensor(each, device=apart.device) for each in valid)
    keys = (frames[:, None, None] & rows[:, None] & cols).flatten()
    return torch.zeros(apart.shape, dtype=dtype, device=apart.device).masked_fill(
        apart | ~keys, APART
    )


def frame_masks(axes: ClassAxes, dtype: torch.dtype, device: torch.device) -> tuple[Mask, Mask]:
    """Masks between two frames of a window, for window and coarse keys: (N/2, N/2) each.

    Mutual attention has no time axis, so only the regions of rows and columns part its tokens.
    """
    window, _, coarse = class_masks((_ONE_FRAME, *axes[1:]), dtype, device)
    return window, coarse


@cached
def real_share(
    geometry: Geometry, size: tuple[int, int], dtype: torch.dtype, device: torch.device
) -> Tensor:
    """How much of each cell of a resized map is no padding, 1 for none: (1, 1, rows, columns)."""
    rows, cols = (torch.tensor(valid, device=device) for valid in geometry.valid)
    real = (rows[:, None] & cols).double()[None, None]
    share = F.interpolate(real, size, mode="bilinear")
    return torch.where(share > 0, share, 1.0).to(dtype)
