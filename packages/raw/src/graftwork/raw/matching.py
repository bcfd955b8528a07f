"""Making one sensor's noise look like another's without training.

With variance a·mean + b, the line y = s·x + t turns the noise (a₁, b₁) into (a₂, b₂) exactly for

    s = a₂ / a₁,   t = (s² b₁ − b₂) / a₂,

the k-sigma transform (Wang et al. 2020, arXiv:2010.06935) taken from one sensor straight to
another. Values are in DN above black, signed.
"""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from graftwork.raw.noise_model import Noise


class NoiseMatch(NamedTuple):
    """y = scale · x + offset."""

    scale: float
    offset: float

    def apply(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """DN above black with the noise of the sensor matched to."""
        return self.scale * x + self.offset

    def undo(self, y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Back to DN above black of the first sensor."""
        return (y - self.offset) / self.scale


def match_noise(own: Noise, other: Noise) -> NoiseMatch:
    """The line after which data with the noise `own` has the noise `other`; row noise left out."""
    scale = other.a / own.a
    return NoiseMatch(scale=scale, offset=(scale**2 * own.b - other.b) / other.a)
