"""Pictures for people: frames of a clip in a row, and under them what was asked and said."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from graftwork.video.reading.sampling import FrameSampling
from graftwork.video.record import PLACEHOLDER

if TYPE_CHECKING:
    from graftwork.video.evaluation import Answered

_FRAMES = 4
_SIDE = 112
_LINE = 15
_LINES = 4
_LETTERS = 68


def strip(
    answered: "Sequence[Answered]",
) -> Float[Tensor, "records 3 height width"]:
    """A picture of each record, all of one size, in 0..1."""
    return torch.stack([_tensor(_drawn(one)) for one in answered])


def _drawn(one: "Answered") -> Image.Image:
    picture = Image.new("RGB", (_FRAMES * _SIDE, _SIDE + _LINES * _LINE + 4), "white")
    for column, frame in enumerate(_frames(one)):
        picture.paste(frame, (column * _SIDE + (_SIDE - frame.width) // 2, 0))
    question = " ".join(PLACEHOLDER.sub(" ", one.record.turns[-1].question).split())
    lines = [
        *textwrap.wrap(f"{question}  ({one.record.answer})", _LETTERS)[: _LINES - 1],
        textwrap.shorten(f"> {one.answer}", _LETTERS, placeholder=" ..."),
    ]
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    for row, line in enumerate(lines):
        draw.text((2, _SIDE + 2 + row * _LINE), line, fill="black", font=font)
    return picture


def _frames(one: "Answered") -> list[Image.Image]:
    """Frames of the first clip, within squares; none for a question without a clip."""
    if not one.record.clips:
        return []
    clip = one.record.clips[0].read(FrameSampling(frames=_FRAMES))
    height, width = clip.frames.shape[-2:]
    scale = _SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    pictures = [Image.fromarray(frame.permute(1, 2, 0).numpy()) for frame in clip.frames[:_FRAMES]]
    return [picture.resize(size, Image.Resampling.BICUBIC) for picture in pictures]


def _tensor(picture: Image.Image) -> Float[Tensor, "3 height width"]:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
