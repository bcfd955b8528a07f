"""Rows of video features in the places of the placeholders of a prompt."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError

Embeds = Float[Tensor, "batch length width"]
Places = Bool[Tensor, "batch length"]


def places(
    input_ids: Int[Tensor, "batch length"] | None, embeds: Embeds, embedding: nn.Module, token: int
) -> Places:
    """Where the placeholders are: by their id, or, without ids, by their embedding."""
    if input_ids is not None:
        return input_ids == token
    own = embedding(torch.tensor(token, device=embeds.device))
    return (embeds == own).all(-1)


def splice(
    embeds: Embeds,
    where: Places,
    clips: Float[Tensor, "clips rows wide"] | Sequence[Float[Tensor, "_ wide"]],
) -> Embeds:
    """Put the clips' rows, one after the other, into the places, sample by sample.

    Raises:
        GraftworkError: there are more or fewer places than rows, or rows of another width.
    """
    rows = clips.flatten(0, 1) if isinstance(clips, Tensor) else torch.cat(list(clips))
    if rows.shape[-1] != embeds.shape[-1]:
        raise GraftworkError(
            f"video features: rows of width {rows.shape[-1]} where the decoder has "
            f"{embeds.shape[-1]}; make them with this model's `get_video_features`"
        )
    if not torch.compiler.is_compiling() and (count := int(where.sum())) != len(rows):
        raise GraftworkError(
            f"input_ids: {count} placeholders for {len(rows)} rows of video features; write "
            "`config.visual_rows(frames)` placeholders for each clip"
        )
    return embeds.masked_scatter(where[..., None], rows.to(embeds))


def refuse_unfilled(where: Places) -> None:
    """Raise if a prompt has placeholders and nothing to put there.

    Raises:
        GraftworkError: it has.
    """
    if not torch.compiler.is_compiling() and (count := int(where.sum())):
        raise GraftworkError(
            f"input_ids: {count} placeholders and no clip; pass `pixel_values_videos` or "
            "`mm_encoder_outputs`"
        )
