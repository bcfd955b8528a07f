"""Pictures for people: an image, and under it its class and what was seen."""

import textwrap

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from graftwork.labels.images import LabelledImages

_SIDE = 112
_LINE = 15
_LETTERS = 17


def cards(
    images: LabelledImages,
    kept: Int[Tensor, "examples"],
    logits: Float[Tensor, "examples classes"],
    count: int,
) -> Float[Tensor, "cards 3 height width"]:
    """`count` of some classified images, evenly over all; `kept` are their places in the set."""
    places = [index * len(kept) // count for index in range(count)]
    shares = logits.softmax(1)
    return torch.stack([_card(images, int(kept[place]), shares[place]) for place in places])


def _card(
    images: LabelledImages, index: int, shares: Float[Tensor, "classes"]
) -> Float[Tensor, "3 height width"]:
    picture = Image.new("RGB", (_SIDE, _SIDE + 2 * _LINE + 4), "white")
    image = Image.fromarray(images.image(index).permute(1, 2, 0).contiguous().numpy())
    scale = _SIDE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    picture.paste(image.resize((width, height)), ((_SIDE - width) // 2, (_SIDE - height) // 2))
    seen = int(shares.argmax())
    lines = [
        images.classes[images.label(index)],
        f"> {images.classes[seen]} ({float(shares[seen]):.2f})",
    ]
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    for row, line in enumerate(lines):
        text = textwrap.shorten(line, _LETTERS, placeholder="...")
        draw.text((2, _SIDE + 2 + row * _LINE), text, fill="black", font=font)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
