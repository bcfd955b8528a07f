"""Cosines between image features."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize


def directions(features: Float[Tensor, "images dims"]) -> Float[Tensor, "images dims"]:
    """Each row divided by its length, in float64; a row of zeros stays zero."""
    return normalize(features.double(), dim=1)


def cosines(
    a: Float[Tensor, "images dims"], b: Float[Tensor, "images dims"]
) -> Float[Tensor, "images"]:
    """cos(a_i, b_i) = <a_i, b_i> / (|a_i| |b_i|), row by row; 0 where a row is zero."""
    return (directions(a) * directions(b)).sum(dim=1)


def all_cosines(a: Float[Tensor, "n dims"], b: Float[Tensor, "m dims"]) -> Float[Tensor, "n m"]:
    """cos(a_i, b_j) for every pair of rows."""
    return directions(a) @ directions(b).T
