"""Bilinear demosaicing: each missing colour is the mean of its nearest neighbours of that colour.

With zeros where a colour is missing, that mean is a convolution with

    1/4 · [1 2 1; 2 4 2; 1 2 1]  for R and B,   1/4 · [0 1 0; 1 4 1; 0 1 0]  for G.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from graftwork.raw.cfa import Pattern
from graftwork.raw.mosaic import unpack

_SPARSE = ((1.0, 2.0, 1.0), (2.0, 4.0, 2.0), (1.0, 2.0, 1.0))
_GREEN = ((0.0, 1.0, 0.0), (1.0, 4.0, 1.0), (0.0, 1.0, 0.0))


def demosaic(
    planes: Float[Tensor, "*lead 4 half_height half_width"], pattern: Pattern
) -> Float[Tensor, "*lead 3 height width"]:
    """R, G and B at every pixel of the mosaic; measured values stay as they are."""
    red, green_of_red, blue, green_of_blue = planes.unbind(-3)
    none = torch.zeros_like(red)
    colours = (
        (red, none, none, none),
        (none, green_of_red, none, green_of_blue),
        (none, none, blue, none),
    )
    sparse = [unpack(torch.stack(each, dim=-3), pattern) for each in colours]
    image = torch.stack(sparse, dim=-3)
    # Mirroring about the border's pixels keeps even rows even, and so the colours apart.
    batch = F.pad(image.flatten(0, -4) if image.ndim > 3 else image[None], (1, 1, 1, 1), "reflect")
    kernels = image.new_tensor((_SPARSE, _GREEN, _SPARSE))[:, None] / 4
    return F.conv2d(batch, kernels, groups=3).reshape(image.shape)
