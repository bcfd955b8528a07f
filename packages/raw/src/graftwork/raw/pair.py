"""What a denoiser is given, and the truth beside it."""

from dataclasses import dataclass

from graftwork.core.errors import GraftworkError
from graftwork.raw.clip import RawClip
from graftwork.raw.noised import NoisedClip


@dataclass(frozen=True, kw_only=True)
class ClipPair:
    """A noisy clip, and its truth where there is one; which is which cannot be mistaken.

    Made by `captured` from what a camera gave, or by `noised` from the truth.
    """

    noisy: RawClip
    truth: RawClip | None

    def __post_init__(self) -> None:
        if not self.noisy.content.noisy:
            raise GraftworkError(
                f"{self.noisy.name}: is clean, and a denoiser needs a noisy clip; name the ISO "
                "whose noise is to be added"
            )
        if self.truth is not None:
            _check(self.noisy, self.truth)


def captured(noisy: RawClip, truth: RawClip | None = None) -> ClipPair:
    """The input is noisy as it is: nothing is added.

    Raises:
        GraftworkError: the input is clean, the truth is noisy, or the two do not fit.
    """
    return ClipPair(noisy=noisy, truth=truth)


def noised(clean: RawClip, iso: int, *, seed: int) -> ClipPair:
    """The input is the truth with the noise of an ISO of its sensor added.

    Raises:
        GraftworkError: the clip is noisy already, or the ISO is not calibrated.
    """
    return ClipPair(noisy=NoisedClip(clean, clean.sensor.noise(iso), seed=seed), truth=clean)


def _check(noisy: RawClip, truth: RawClip) -> None:
    if truth.content.noisy:
        raise GraftworkError(
            f"{truth.name}: is {truth.content.value}, noisy, and is to serve as the truth; "
            "exchange the two, or leave the truth away"
        )
    if truth.size != noisy.size or len(truth) != len(noisy):
        raise GraftworkError(
            f"{truth.name}: has {_shape(truth)}, and {noisy.name} has {_shape(noisy)}; "
            "truth and noisy clip must show the same frames"
        )
    if truth.sensor.pattern != noisy.sensor.pattern:
        raise GraftworkError(
            f"{truth.name}: is {truth.sensor.pattern}, and {noisy.name} is "
            f"{noisy.sensor.pattern}; give both the same sensor"
        )


def _shape(clip: RawClip) -> str:
    height, width = clip.size
    return f"{len(clip)} frames of {height}x{width}"
