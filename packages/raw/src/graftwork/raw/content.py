"""What a clip's frames hold, so that noise is never added where there is noise."""

from enum import Enum


class Content(Enum):
    """Truth, a camera's noise, or truth to which we added noise."""

    CLEAN = "clean"
    """The truth: synthetic, or the mean of many shots."""

    CAPTURED = "captured"
    """As a camera gave it, its own noise included."""

    NOISED = "noised"
    """Clean frames to which the noise of one ISO was added."""

    @property
    def noisy(self) -> bool:
        """Whether there is something to denoise."""
        return self is not Content.CLEAN
