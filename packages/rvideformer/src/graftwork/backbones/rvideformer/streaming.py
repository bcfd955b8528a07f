"""Denoise a clip of any length and size in bounded memory: groups of frames, tiles of a group.

Groups of as many frames as a window holds follow one another without overlap; a shorter last one
runs at its own length. For models without shifted blocks (T and S) that is what the whole clip
would give, frame for frame; M and L forgo what would pass from group to group. Large frames are cut
into tiles, which overlap and are blended by linear ramps; windows start at a tile's corner and the
coarse map is the tile's, so tiles are never quite the whole frame. The tile's size also decides,
in the mode "auto", which scales look at neighbours: keep to the size of training, 64, or set the
modes of the model.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, product

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.core.errors import GraftworkError

Frame = Float[Tensor, "4 rows columns"]
Clip = Float[Tensor, "frames 4 rows columns"]


def denoise_stream(
    model: RViDeformer,
    frames: Iterable[Frame],
    *,
    tile: int | None = 64,
    overlap: int = 8,
    at_once: int = 1,
) -> Iterator[Frame]:
    """Yield each frame without its noise, a group later than it was read.

    The model runs in evaluation mode, on its own device; frames come back on theirs, unclamped.

    Args:
        model: The denoiser.
        frames: Packed Bayer frames in 0..1, all of one size.
        tile: Side of the square tiles in packed pixels; None for whole frames.
        overlap: By how many pixels neighbouring tiles overlap at least.
        at_once: Tiles in one call of the model; more keep a GPU busy and take more memory.

    Raises:
        GraftworkError: a frame is not of four planes or of another size than the first, or the
            overlap leaves tiles no ground of their own.
    """
    if overlap < 0 or (tile is not None and (tile < 1 or 2 * overlap > tile)):
        raise GraftworkError(
            f"overlap: {overlap} does not fit tiles of {tile}; use half a tile or less"
        )
    if at_once < 1:
        raise GraftworkError(f"at_once: {at_once} tiles cannot be run; use 1 or more")
    return _stream(model, frames, tile, overlap, at_once)


def _stream(
    model: RViDeformer, frames: Iterable[Frame], tile: int | None, overlap: int, at_once: int
) -> Iterator[Frame]:
    checked = _checked(frames)
    while group := list(islice(checked, model.config.window[0])):
        clip = torch.stack(group)
        yield from _denoised(model, clip, tile, overlap, at_once).to(clip.device)


def _checked(frames: Iterable[Frame]) -> Iterator[Frame]:
    size = None
    for number, frame in enumerate(frames):
        shape = tuple(frame.shape)
        if frame.dim() != 3 or len(frame) != 4:
            raise GraftworkError(
                f"frame {number}: has shape {list(shape)}; give packed frames (4, rows, columns)"
            )
        size = size or shape
        if shape != size:
            raise GraftworkError(
                f"frame {number}: is {shape[1]} x {shape[2]}, the first is {size[1]} x {size[2]}; "
                "give frames of one size"
            )
        yield frame


def _denoised(model: RViDeformer, clip: Clip, tile: int | None, overlap: int, at_once: int) -> Clip:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return _blended(model, clip, tile, overlap, at_once)
    finally:
        model.train(training)


def _blended(model: RViDeformer, clip: Clip, tile: int | None, overlap: int, at_once: int) -> Clip:
    rows, cols = (tiles(length, tile or length, overlap) for length in clip.shape[-2:])
    places = list(product(rows, cols))
    like = model.conv_first.weight
    total = torch.zeros(clip.shape, dtype=like.dtype)
    weights = torch.zeros(clip.shape[-2:], dtype=like.dtype)
    for i in range(0, len(places), at_once):
        some = places[i : i + at_once]
        batch = torch.stack([clip[:, :, r.area, c.area] for r, c in some])
        for (r, c), clean in zip(some, model(batch.to(like)).to(total), strict=True):
            weight = r.weight[:, None] * c.weight
            total[:, :, r.area, c.area] += clean * weight
            weights[r.area, c.area] += weight
    return total / weights


@dataclass(frozen=True)
class Span:
    """A tile along one axis."""

    area: slice
    weight: Tensor
    """Rising from the frame's inside over the overlap to 1, and falling again; 1 at its edges."""


def tiles(length: int, tile: int, overlap: int) -> list[Span]:
    """Tiles that cover an axis: a tile less its overlap apart, the last one at the end."""
    tile = min(tile, length)
    last = length - tile
    spans = []
    for start in [*range(0, last, tile - overlap), last]:
        place = torch.arange(tile) + 1
        rising = place if start else torch.full_like(place, tile)
        falling = place.flip(0) if start < last else torch.full_like(place, tile)
        weight = (torch.minimum(rising, falling) / (overlap + 1)).clamp(max=1.0)
        spans.append(Span(slice(start, start + tile), weight))
    return spans
