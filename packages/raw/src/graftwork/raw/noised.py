"""Noise on clean clips, and only on them."""

import random
from typing import final

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from graftwork.core.errors import GraftworkError
from graftwork.raw.clip import RawClip
from graftwork.raw.content import Content
from graftwork.raw.levels import quantise
from graftwork.raw.noise_model import Noise
from graftwork.raw.noising import add_noise


@final
class NoisedClip(RawClip):
    """A clean clip with noise added, as a camera would have given it: clipped and in whole DN.

    Frame i of a seed is always the same, in whatever order frames are read; two seeds are two
    realisations.
    """

    def __init__(self, clean: RawClip, noise: Noise, *, seed: int) -> None:
        """Wrap a clean clip.

        Raises:
            GraftworkError: the clip is noisy already.
        """
        if clean.content.noisy:
            raise GraftworkError(
                f"{clean.name}: is {clean.content.value}, noisy already; adding noise would count "
                "it twice: use the clip as it is, or give a clean one"
            )
        super().__init__(
            name=f"{clean.name} with noise",
            sensor=clean.sensor,
            content=Content.NOISED,
            iso=noise.iso,
            length=len(clean),
            size=clean.size,
        )
        self.clean = clean
        self.noise = noise
        self._seed = seed

    def frame(self, index: int) -> Float[Tensor, "height width"]:
        """The noisy mosaic at `index` in whole DN."""
        clean = self.clean.frame(index)
        generator = Generator().manual_seed(frame_seed(self._seed, index))
        noisy = add_noise(clean, self.noise, self.sensor, generator=generator)
        return quantise(noisy, self.sensor, rounding="nearest").to(torch.float32)


def frame_seed(seed: int, index: int) -> int:
    """A seed of its own for each frame of each seed; sums of the two would meet."""
    return random.Random(f"{seed}/{index}").getrandbits(63)
