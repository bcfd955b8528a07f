"""Noise from the clip itself, where nobody calibrated the sensor: photon transfer.

In flat places variance over mean is a straight line, variance = a · (mean − black) + b. The
variance is measured on the residual of the filter

    [1 −2 1; −2 4 −2; 1 −2 1] / 6

which sees no plane, no row offset and no column offset (Immerkær 1996), in blocks of each colour
plane. Which blocks are flat is read off the next frame, whose noise is independent: choosing them
in the same frame would choose the quiet ones. Blocks of about one level are compared by their
variance over that of the line found so far, and the line is drawn again a few times.

On flat charts a comes out within 10 % of the truth. In photographs some texture is left: from seven
frames of 256×256 on CRVD's sensor a is within 25 % from ISO 6400 on and up to 40 % too high at ISO
1600, more than its standard error says, and b is good only where dark places are flat. Rounding to
whole DN is part of b (1/12 DN²); row noise is not estimated.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.raw.clip import RawClip
from graftwork.raw.line_fit import Line, fit_line
from graftwork.raw.mosaic import pack
from graftwork.raw.noise_model import Noise
from graftwork.raw.sensor import Sensor

_BLOCK = 8
_BINS = 16
_FLATTEST = 0.05  # of the blocks of each level
_FEWEST = 6  # such blocks of a level
_ROUNDS = 4
# Neighbouring residuals share pixels: 64 of them hold 64 / 3.78 independent squares, 3.78 being
# the sum of the filter's squared autocorrelation, (70/36)².
_FREEDOM = _BLOCK**2 / (70 / 36) ** 2
# Wilson and Hilferty's median of a mean of squares, over its expectation.
_MEDIAN = (1 - 2 / (9 * _FREEDOM)) ** 3


@dataclass(frozen=True, kw_only=True)
class NoiseEstimate:
    """The noise of a clip, and how well the clip tells it."""

    noise: Noise
    a_error: float
    """Standard error of a in DN."""
    b_error: float
    """Standard error of b in DN²."""


def estimate_noise(clip: RawClip, *, frames: int = 8, static: bool = False) -> NoiseEstimate:
    """The noise of a noisy clip of at least two frames.

    Args:
        clip: Captured or noised; its ISO is passed on.
        frames: At most so many frames are read, from the first on.
        static: Whether neither camera nor scene moves. The variance is then that of the difference
            of two frames, in which texture cancels.

    Raises:
        GraftworkError: the clip is clean, has one frame, or its levels tell no line.
    """
    if not clip.content.noisy:
        raise GraftworkError(f"{clip.name}: is clean; estimate the noise of a captured clip")
    clip.check_range(0, 2)
    first = _planes(clip, 0)
    samples = []
    for index in range(1, min(frames, len(clip))):
        second = _planes(clip, index)
        samples.append(_samples(first, second, clip.sensor, static=static))
        first = second
    line = _photon_transfer(torch.cat(samples, dim=1), clip.name)
    _check(line, clip.name)
    noise = Noise(iso=clip.iso, a=line.slope, b=max(line.offset, 0.0))
    return NoiseEstimate(noise=noise, a_error=line.slope_error, b_error=line.offset_error)


def _planes(clip: RawClip, index: int) -> Float[Tensor, "4 height width"]:
    return pack(clip.frame(index).double(), clip.sensor.pattern)


def _samples(
    first: Float[Tensor, "4 height width"],
    second: Float[Tensor, "4 height width"],
    sensor: Sensor,
    *,
    static: bool,
) -> Float[Tensor, "3 blocks"]:
    """Signal, variance and texture of each block that no clipping touches."""
    signal = (first + second) / 2 if static else first
    measured = (first - second) / 2**0.5 if static else first
    # In a difference nothing is left to choose by, and its noise is that of both frames.
    texture = torch.zeros_like(second) if static else second
    black = first.new_tensor(sensor.black)[:, None, None]
    values = (
        _block_means((signal - black)[:, 1:-1, 1:-1]),
        _block_means(_residual(measured).square()),
        _block_means(_residual(texture).square()),
    )
    inside = (first > 0) & (first < sensor.white_level)
    whole = _block_means(inside[:, 1:-1, 1:-1].double()) == 1
    return torch.stack([each[whole] for each in values])


def _residual(planes: Float[Tensor, "4 height width"]) -> Float[Tensor, "4 rows columns"]:
    line = planes.new_tensor([1.0, -2.0, 1.0])
    kernel = (line[:, None] * line / 6)[None, None]
    return F.conv2d(planes[:, None], kernel)[:, 0]


def _block_means(image: Float[Tensor, "4 height width"]) -> Float[Tensor, "4 rows columns"]:
    return F.avg_pool2d(image, _BLOCK)


def _photon_transfer(samples: Float[Tensor, "3 blocks"], name: str) -> Line:
    if samples.shape[1] < _BINS * _FEWEST / _FLATTEST:
        raise GraftworkError(
            f"{name}: too few unclipped places to tell its noise; give more or larger frames, or "
            "a calibrated sensor"
        )
    ascending = samples[:, samples[0].argsort()]
    expected = ascending[1].mean().expand(ascending.shape[1])
    for _ in range(_ROUNDS):
        line = _line(ascending, expected)
        expected = (line.slope * ascending[0] + line.offset).clamp(min=float(expected.min()) / 4)
    return line


def _line(ascending: Float[Tensor, "3 blocks"], expected: Float[Tensor, "blocks"]) -> Line:
    together = torch.cat((ascending, expected[None]))
    levels = [_level(part) for part in together.tensor_split(_BINS, dim=1)]
    signal, variance, error = torch.stack(levels, dim=1)
    return fit_line(signal, variance, error)


def _level(part: Float[Tensor, "4 blocks"]) -> Float[Tensor, "3"]:
    """Signal, variance and its standard error, of the flattest blocks of one level."""
    signal, variance, texture, expected = part
    count = int(part.shape[1] * _FLATTEST) if texture.any() else part.shape[1]
    # In units of the expected variance; otherwise the flattest were the darkest.
    flat = (texture / expected).argsort()[:count]
    ratio = (variance / expected)[flat].median() / _MEDIAN
    middle = ratio * expected[flat].mean()
    # A median of n values of relative variance 2/freedom; 1.25 is its price over the mean.
    error = 1.25 * middle * (2 / _FREEDOM / count) ** 0.5
    return torch.stack((signal[flat].mean(), middle, error))


def _check(line: Line, name: str) -> None:
    if line.slope <= 0 or line.slope_error > line.slope / 4:
        raise GraftworkError(
            f"{name}: cannot tell its noise (a = {line.slope:.3g} ± {line.slope_error:.2g} DN): it "
            "is too dark, or has too few levels; use a clip with dark and bright flat parts, or a "
            "calibrated sensor"
        )
