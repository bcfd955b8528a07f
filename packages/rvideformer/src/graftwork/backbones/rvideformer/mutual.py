"""Mutual attention between the two frames of a temporal window.

The queries of frame 2 meet the keys and values of frame 1, and what they draw stands in frame 1's
place; and the other way round. A fixed sine code tells the positions (Carion et al. 2020,
arXiv:2005.12872): half of the channels for the row, half for the column, sines and cosines of
2 pi p / P at wavelengths up to 10000, p counted from 1.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.backbones.rvideformer.caching import cached
from graftwork.backbones.rvideformer.masks import frame_masks
from graftwork.backbones.rvideformer.packed import PackedLinear
from graftwork.backbones.rvideformer.shapes import Map, Tokens
from graftwork.backbones.rvideformer.tokens import attend_windows, seen_by_windows
from graftwork.backbones.rvideformer.windows import Geometry


class MutualAttention(nn.Module):
    """Mutual attention over the window and over the coarse map.

    `window_qkv` has q, k and v of the window and the queries of the coarse map; `coarse_kv` has
    keys and values. There is no relative bias and no pooled branch.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        half = width // 2
        self.width, self.heads = width, heads
        queries = {"q": width, "k": width, "v": width, "coarse_q": half}
        self.window_qkv = PackedLinear(width, queries)
        self.coarse_kv = PackedLinear(width, {"k": half, "v": half})

    def forward(
        self, tokens: Tokens, coarse: Map, geometry: Geometry
    ) -> Float[Tensor, "windows batch tokens both"]:
        """What each frame's place receives from the window, then from the coarse map."""
        code = self._code(geometry, tokens)
        q, k, v, coarse_q = self.window_qkv.split(self.window_qkv(tokens + code.repeat(2, 1)))
        coarse_k, coarse_v = self.coarse_kv.split(self._coarse(coarse, code, geometry))
        each = [
            (members.windows, frame_masks(members.axes, q.dtype, q.device))
            for members in geometry.classes
        ]
        window = _exchange(q, k, v, self.heads, [(n, masks[0]) for n, masks in each])
        distant = _exchange(
            coarse_q, coarse_k, coarse_v, self.heads // 2, [(n, masks[1]) for n, masks in each]
        )
        return torch.cat([window, distant], -1)

    def _code(self, geometry: Geometry, like: Tensor) -> Float[Tensor, "positions channels"]:
        _, rows, cols = geometry.window
        return sine_code(rows, cols, self.width, like.dtype, like.device)

    def _coarse(self, coarse: Map, code: Tensor, geometry: Geometry) -> Tokens:
        """Projected coarse tokens, whose position is that in the window's own view."""
        if tuple(coarse.shape[2:4]) == geometry.window[1:]:
            # Every window sees the same ones: they are projected once.
            placed = coarse + code.view(*coarse.shape[2:])
            return seen_by_windows(self.coarse_kv(placed), geometry)
        return self.coarse_kv(seen_by_windows(coarse, geometry) + code.repeat(2, 1))


def _exchange(
    q: Tokens, k: Tokens, v: Tokens, heads: int, masks: list[tuple[int, Tensor | None]]
) -> Tokens:
    batch = q.shape[1]
    q, k, v = (each.unflatten(2, (2, -1)) for each in (q, k, v))
    frames = (q.flip(2).flatten(1, 2), k.flatten(1, 2), v.flatten(1, 2))
    out = attend_windows(frames, heads=heads, bias=None, masks=masks)
    return out.unflatten(1, (batch, 2)).flatten(2, 3)


@cached
def sine_code(
    rows: int, cols: int, width: int, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "positions channels"]:
    """The code of each position of a window, row by row."""
    half = width // 2
    wavelengths = 10000 ** (2 * (torch.arange(half) // 2).double() / half)
    row, col = (
        _waves(torch.arange(1, n + 1).double() / (n + 1e-6) * 2 * math.pi, wavelengths)
        for n in (rows, cols)
    )
    code = torch.cat([row[:, None].expand(-1, cols, -1), col[None].expand(rows, -1, -1)], -1)
    return code.flatten(0, 1).to(device, dtype)


def _waves(places: Tensor, wavelengths: Tensor) -> Tensor:
    angles = places[:, None] / wavelengths
    return torch.stack([angles[:, ::2].sin(), angles[:, 1::2].cos()], 2).flatten(1)
