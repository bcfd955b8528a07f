"""A classical image descriptor that needs no download.

It joins two unit vectors, so the cosine of two descriptors is the mean of two cosines:

- a joint histogram of L*, a* and b* (8 bins each, blurred so that near colours count as near).
  Of its shares p the vector is sqrt(p), and the cosine of two is the Bhattacharyya coefficient
  sum_k sqrt(p_k q_k);
- histograms of oriented gradients (Dalal and Triggs 2005) on 4 x 4 cells at three scales, the
  idea of the spatial pyramid of Bosch et al. 2007.

Every image is first brought to 64 x 64, so images of different sizes can be compared. It sees
colour and layout, not meaning: its values compare with each other, not with those of CLIP.
"""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from skimage.color import rgb2gray, rgb2lab
from skimage.feature import hog
from skimage.filters import gaussian
from torch import Tensor
from torch.nn.functional import interpolate

_SCALES = (64, 32, 16)
_CELLS = 4
_ORIENTATIONS = 9
_BINS = 8
_LAB = ((0.0, 100.0), (-100.0, 100.0), (-100.0, 100.0))

DIMS = _BINS**3 + len(_SCALES) * _CELLS**2 * _ORIENTATIONS
"""Length of a descriptor."""


def descriptor(images: Float[Tensor, "images 3 height width"]) -> Float[Tensor, "images dims"]:
    """The descriptors of images in 0..1, as float32; a flat image has no gradients, only colour."""
    pyramid = [_resized(images, size) for size in _SCALES]
    rows = [_row([level[index] for level in pyramid]) for index in range(len(images))]
    stacked = np.stack(rows) if rows else np.empty((0, DIMS))
    return torch.from_numpy(stacked).to(images.device, torch.float32)


def _resized(images: Tensor, size: int) -> NDArray[np.float64]:
    small = interpolate(
        images.detach().double().cpu(), (size, size), mode="bilinear", antialias=True
    )
    return small.clamp(0, 1).permute(0, 2, 3, 1).numpy()  # (images, size, size, 3)


def _row(levels: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    gradients = np.concatenate([_gradients(level) for level in levels])
    return np.concatenate([_colours(levels[0]), gradients / np.sqrt(len(levels))])


def _colours(image: NDArray[np.float64]) -> NDArray[np.float64]:
    pixels = rgb2lab(image).reshape(-1, 3)
    counts, _ = np.histogramdd(pixels, bins=_BINS, range=_LAB)
    shares = gaussian(counts, sigma=0.5, mode="constant").ravel()
    return np.sqrt(shares / shares.sum())


def _gradients(image: NDArray[np.float64]) -> NDArray[np.float64]:
    cell = image.shape[0] // _CELLS
    # One block of all cells: the vector is normalised as a whole.
    return hog(
        rgb2gray(image),
        orientations=_ORIENTATIONS,
        pixels_per_cell=(cell, cell),
        cells_per_block=(_CELLS, _CELLS),
    )
