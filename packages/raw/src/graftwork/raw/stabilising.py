"""Making the noise the same everywhere: the generalised Anscombe transform.

    f(x) = 2 √max(x/a + 3/8 + σ², 0),   σ² = b/a²

has variance 1, nearly, for x with variance a·mean + b (Starck, Murtagh and Bijaoui 1998). x is in
DN above black, signed: clamping at black first would undo it where it matters most.
"""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from graftwork.raw.noise_model import Noise

Inverse = Literal["algebraic", "unbiased"]
"""``algebraic`` undoes the transform of a value; ``unbiased`` undoes it of a mean of values, which
is what a denoiser gives that worked on transformed data."""

_LOWEST = 2 * 0.375**0.5  # f's mean at no light and no read noise


def stabilise(x: Float[Tensor, "*shape"], noise: Noise) -> Float[Tensor, "*shape"]:
    """f(x) of DN above black; the noise in it has deviation 1."""
    inside = x / noise.a + (0.375 + noise.b / noise.a**2)
    return 2 * inside.clamp(min=0).sqrt()


def destabilise(
    d: Float[Tensor, "*shape"], noise: Noise, *, inverse: Inverse
) -> Float[Tensor, "*shape"]:
    """DN above black from stabilised values.

    The algebraic inverse is x = a (d²/4 − 3/8 − σ²) for d ≥ 0. The unbiased one is the closed form
    of Mäkitalo and Foi 2011 (IEEE TIP 20(9)),
    x = a (d²/4 + √(3/2)/(4d) − 11/(8d²) + 5√(3/2)/(8d³) − 1/8 − σ²),
    which diverges towards 0: below 2√(3/8), where it is −b/a, it stays −b/a.
    """
    offset = noise.b / noise.a**2
    if inverse == "algebraic":
        return noise.a * (d.clamp(min=0).square() / 4 - 0.375 - offset)
    d = d.clamp(min=_LOWEST)
    root = 1.5**0.5
    series = root / (4 * d) - 11 / (8 * d.square()) + 5 * root / (8 * d**3) - 0.125
    return noise.a * (d.square() / 4 + series - offset)
