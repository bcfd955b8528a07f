"""The contract of a raw-video denoiser."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from graftwork.nn.backbone import Backbone
from graftwork.raw.clip import RawClip
from graftwork.raw.noise_model import Noise
from graftwork.raw.videos import TASK


class RawDenoiser(Backbone):
    """A backbone that denoises raw clips; its steps are `RestorationStep`s."""

    task: ClassVar[str] = TASK
    group: int = 1
    """Frames that are restored together, counted from the first frame of a clip."""

    @abstractmethod
    def denoise(
        self, clip: RawClip, noise: Noise, *, first: int = 0, count: int | None = None
    ) -> Iterator[Float[Tensor, "4 half_height half_width"]]:
        """The frames of a noisy clip one by one, packed, with black at 0 and white at 1.

        Memory does not grow with the clip's length. Grafts act according to their weights; wrap
        the whole iteration in `frozen(module)` for the backbone alone.

        Args:
            clip: what to denoise.
            noise: what it was taken with (`graftwork.raw.noise_of`).
            first: where to begin, a multiple of `group`.
            count: how many frames; None for all that follow.

        Raises:
            GraftworkError: a frame cannot be read.
        """
