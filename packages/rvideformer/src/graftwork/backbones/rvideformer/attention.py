"""Multi-branch attention in windows of a raw video (Yue et al. 2023, arXiv:2305.00767).

The tokens of a window ask in three branches, each with its own relative position bias b:

    window   softmax(q K^T / sqrt(d) + b) V over the window itself
    pooled   the same over the window's means of two by two tokens, with half the heads
    coarse   the same over a coarse map of the whole frame (global) or of the windows around
             (neighbour), with half the heads

and a linear layer fuses them. In temporal blocks, whose windows have two frames, mutual attention
(see `mutual`) stands beside.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.backbones.rvideformer.bias import bias, new_table, pooled_index, relative_index
from graftwork.backbones.rvideformer.masks import class_masks
from graftwork.backbones.rvideformer.mutual import MutualAttention
from graftwork.backbones.rvideformer.packed import PackedLinear
from graftwork.backbones.rvideformer.resampling import coarse_map, pooled_map, rolled, unrolled
from graftwork.backbones.rvideformer.shapes import Map, OtherMap, SmallMap, Tokens
from graftwork.backbones.rvideformer.tokens import (
    attend_windows,
    merge_windows,
    partition,
    seen_by_windows,
)
from graftwork.backbones.rvideformer.windows import Geometry

QKV = tuple[Tensor, Tensor, Tensor]


class MultiBranchAttention(nn.Module):
    """Self-attention of a spatial block; with `mutual`, of a temporal one.

    Layers that hold several projections tell their parts, in rows of their weight: `window_qkv`
    has q, k and v of the window branch and the queries of the two others, `pooled_kv` and
    `coarse_kv` have keys and values.
    """

    def __init__(
        self, width: int, heads: int, window: tuple[int, int, int], *, mutual: bool
    ) -> None:
        super().__init__()
        half = width // 2
        self.window = window
        self.heads = (heads, heads // 2, heads // 2)
        queries = {"q": width, "k": width, "v": width, "pooled_q": half, "coarse_q": half}
        self.window_qkv = PackedLinear(width, queries)
        self.pooled_kv = PackedLinear(width, {"k": half, "v": half})
        self.coarse_kv = PackedLinear(width, {"k": half, "v": half})
        self.window_bias, self.pooled_bias, self.coarse_bias = (
            new_table(window, each) for each in self.heads
        )
        self.fusion = nn.Linear(2 * width, width)
        self.mutual = MutualAttention(width, heads) if mutual else None
        self.proj = nn.Linear(width + (width + half if mutual else 0), width)

    def forward(self, x: Map, geometry: Geometry) -> Map:
        """Attend within the windows of a normalised map."""
        x = rolled(x.to(self.fusion.bias.dtype), geometry)
        pooled = pooled_map(x, geometry)
        coarse = coarse_map(x, pooled, geometry)
        tokens = partition(x, geometry)
        out = self.fusion(self._attend(self._branches(tokens, pooled, coarse, geometry), geometry))
        if self.mutual is not None:
            out = torch.cat([self.mutual(tokens, coarse, geometry), out], -1)
        return unrolled(merge_windows(self.proj(out), geometry), geometry)

    def _branches(
        self, tokens: Tokens, pooled: SmallMap, coarse: OtherMap, geometry: Geometry
    ) -> tuple[QKV, QKV, QKV]:
        q, k, v, pooled_q, coarse_q = self.window_qkv.split(self.window_qkv(tokens))
        pooled_kv = partition(self.pooled_kv(pooled), geometry)
        coarse_kv = seen_by_windows(self.coarse_kv(coarse), geometry)
        pooled_k, pooled_v = self.pooled_kv.split(pooled_kv)
        coarse_k, coarse_v = self.coarse_kv.split(coarse_kv)
        return (q, k, v), (pooled_q, pooled_k, pooled_v), (coarse_q, coarse_k, coarse_v)

    def _attend(
        self, branches: tuple[QKV, QKV, QKV], geometry: Geometry
    ) -> Float[Tensor, "windows batch tokens twice_channels"]:
        q = branches[0][0]
        full = relative_index(geometry.window[0], self.window, q.device)
        pooled = pooled_index(geometry.window[0], self.window, q.device)
        masks = [class_masks(own.axes, q.dtype, q.device) for own in geometry.classes]
        tables = (self.window_bias, self.pooled_bias, self.coarse_bias)
        outs = [
            attend_windows(
                branches[i],
                heads=self.heads[i],
                bias=bias(tables[i], index, q.dtype),
                masks=[(own.windows, m[i]) for own, m in zip(geometry.classes, masks, strict=True)],
                learnt=tables[i].requires_grad,
            )
            for i, index in enumerate((full, pooled, full))
        ]
        return torch.cat(outs, -1)
