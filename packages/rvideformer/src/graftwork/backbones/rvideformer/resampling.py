"""Smaller versions of a map: pooled by two, and the coarse map of the third branch.

Bilinear resizing to half the size is the mean of two by two, so in neighbour mode the coarse map
is the pooled one. Where padding is masked, averages are taken over the real tokens alone.
"""

import torch
from torch.nn import functional as F

from graftwork.backbones.rvideformer.masks import real_share
from graftwork.backbones.rvideformer.shapes import Map, OtherMap, SmallMap
from graftwork.backbones.rvideformer.windows import Geometry


def pooled_map(x: Map, geometry: Geometry) -> SmallMap:
    """The mean of each two by two tokens."""
    return _resized(x, geometry, (x.shape[2] // 2, x.shape[3] // 2))


def coarse_map(x: Map, pooled: SmallMap, geometry: Geometry) -> OtherMap:
    """The map that the third branch sees: `pooled`, or the whole map at another size."""
    if geometry.coarse == tuple(pooled.shape[2:4]):
        return pooled
    return _resized(x, geometry, geometry.coarse)


def _resized(x: Map, geometry: Geometry, size: tuple[int, int]) -> SmallMap:
    if size == tuple(x.shape[2:4]):
        return x
    planes = x.flatten(0, 1).permute(0, 3, 1, 2)
    if (2 * size[0], 2 * size[1]) == tuple(planes.shape[2:]):
        small = F.avg_pool2d(planes, 2)
    else:
        small = F.interpolate(planes, size, mode="bilinear")
    if geometry.cut:
        small = small / real_share(geometry, size, small.dtype, small.device)
    return small.permute(0, 2, 3, 1).unflatten(0, x.shape[:2])


def rolled(x: Map, geometry: Geometry) -> OtherMap:
    """A map padded with zeros to whole windows and rolled back by the shift."""
    frames, rows, cols = geometry.padding
    if any((frames, rows, cols)):
        x = F.pad(x, (0, 0, 0, cols, 0, rows, 0, frames))
    shifts = [-shift for shift in geometry.shifts]
    return torch.roll(x, shifts, (1, 2, 3)) if any(shifts) else x


def unrolled(x: OtherMap, geometry: Geometry) -> Map:
    """`rolled` undone."""
    if any(geometry.shifts):
        x = torch.roll(x, geometry.shifts, (1, 2, 3))
    frames, rows, cols = geometry.size
    return x[:, :frames, :rows, :cols]
