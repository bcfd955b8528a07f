"""Maps as the tokens of windows, and back. Windows come first, those of one class together."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.backbones.rvideformer.attending import attend
from graftwork.backbones.rvideformer.masks import Mask, coarse_cells, window_order
from graftwork.backbones.rvideformer.shapes import KeyTokens, Map, Tokens
from graftwork.backbones.rvideformer.windows import Geometry


def partition(x: Map, geometry: Geometry) -> Tokens:
    """Cut a padded map, or one pooled by two, into windows."""
    frames, rows, cols = geometry.windows
    x = x.unflatten(3, (cols, -1)).unflatten(2, (rows, -1))
    x = x.unflatten(1, (frames, -1))
    tokens = x.permute(1, 3, 5, 0, 2, 4, 6, 7).flatten(4, 6).flatten(0, 2)
    if len(geometry.classes) > 1:
        tokens = tokens.index_select(0, window_order(geometry, x.device)[0])
    return tokens


def merge_windows(tokens: Tokens, geometry: Geometry) -> Map:
    """`partition` of a map at full resolution undone."""
    if len(geometry.classes) > 1:
        tokens = tokens.index_select(0, window_order(geometry, tokens.device)[1])
    x = tokens.unflatten(2, geometry.window)
    x = x.unflatten(0, geometry.windows)
    return x.permute(3, 0, 4, 1, 5, 2, 6, 7).flatten(5, 6).flatten(3, 4).flatten(1, 2)


def seen_by_windows(coarse: Map, geometry: Geometry) -> Tokens:
    """The tokens of a coarse map that each window sees."""
    cells = coarse_cells(geometry, coarse.device)
    return coarse.flatten(1, 3)[:, cells].transpose(0, 1)


def attend_windows(
    qkv: tuple[Tokens, KeyTokens, KeyTokens],
    *,
    heads: int,
    bias: Float[Tensor, "heads queries keys"] | None,
    masks: Sequence[tuple[int, Mask]],
    learnt: bool = False,
) -> Tokens:
    """Attention in every window.

    `masks` has each class's number of windows and its mask; `learnt` tells that the bias trains.
    """
    counts = [count for count, _ in masks]
    parts = zip(*(tensor.split(counts) for tensor in qkv), strict=True)
    outs = [
        _attend((q, k, v), heads, _sum(bias, mask), learnt=learnt)
        for (q, k, v), (_, mask) in zip(parts, masks, strict=True)
    ]
    return outs[0] if len(outs) == 1 else torch.cat(outs)


def _attend(
    qkv: tuple[Tokens, KeyTokens, KeyTokens], heads: int, bias: Tensor | None, *, learnt: bool
) -> Tokens:
    q, k, v = (_heads_first(each, heads) for each in qkv)
    out = attend(q, k, v, bias, learnt=learnt)
    return out.transpose(1, 2).flatten(2).unflatten(0, qkv[0].shape[:2])


def _heads_first(tokens: Tokens, heads: int) -> Float[Tensor, "calls heads tokens dims"]:
    return tokens.flatten(0, 1).unflatten(-1, (heads, -1)).transpose(1, 2)


def _sum(bias: Tensor | None, mask: Mask) -> Tensor | None:
    if bias is None:
        return None if mask is None else mask[None]
    return bias if mask is None else bias + mask
