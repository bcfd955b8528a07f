"""Training examples: a few frames of a part of a clip, cut out at random."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from graftwork.backbones.rvideformer.settings import TinyRViDeformerConfig
from graftwork.core.errors import GraftworkError
from graftwork.raw.clip import RawClip
from graftwork.raw.levels import normalise
from graftwork.raw.mosaic import pack
from graftwork.raw.noise_model import Noise
from graftwork.raw.noise_of import noise_of
from graftwork.raw.orientation import MODES, Window, cut
from graftwork.raw.sensor import Sensor
from graftwork.raw.videos import RawVideos

_DRAWS = 2**31


@dataclass(frozen=True)
class Examples:
    """A set of clips that is long and large enough, and the noise of each."""

    data: RawVideos
    sensor: Sensor
    noise: Sequence[Noise]
    settings: TinyRViDeformerConfig

    def __len__(self) -> int:
        return len(self.data)

    def draw(
        self, indices: Sequence[int], generator: Generator
    ) -> tuple[
        Float[Tensor, "batch time 4 rows cols"], Float[Tensor, "batch time 4 rows cols"] | None
    ]:
        """Noisy frames and their truth, black at 0 and white at 1; no truth unless all have one."""
        drawn = [self._one(index, generator) for index in indices]
        noisy = torch.stack([one for one, _ in drawn])
        truths = [truth for _, truth in drawn if truth is not None]
        return noisy, torch.stack(truths) if len(truths) == len(drawn) else None

    def _one(self, index: int, generator: Generator) -> tuple[Tensor, Tensor | None]:
        settings = self.settings
        pair = self.data.pair(index, _below(_DRAWS, generator))
        first = _below(len(pair.noisy) - settings.frames + 1, generator)
        mode = MODES[_below(len(MODES), generator)] if settings.orient else 0
        side = 2 * settings.patch
        # Orienting may take one row and column beyond the window.
        top, left = (
            2 * _below((length - side - 2 * settings.orient) // 2 + 1, generator)
            for length in pair.noisy.size
        )
        window = Window(top, left, side, side)

        def part(clip: RawClip) -> Tensor:
            mosaics = clip.frames(first, settings.frames)
            pattern = clip.sensor.pattern
            planes = pack(cut(mosaics, window, mode=mode, pattern=pattern), pattern)
            return normalise(planes, clip.sensor, negatives="keep")

        return part(pair.noisy), None if pair.truth is None else part(pair.truth)


def prepare(data: RawVideos, settings: TinyRViDeformerConfig) -> Examples:
    """Look at every clip once.

    Raises:
        GraftworkError: there is none, one is shorter or smaller than an example, or they are of
            several sensors.
    """
    data.check()
    if not len(data):
        raise GraftworkError("data: there are no clips; check its path")
    clips = [data.pair(index).noisy for index in range(len(data))]
    side = 2 * settings.patch + 2 * settings.orient
    for clip in clips:
        clip.check_range(0, settings.frames)
        if min(clip.size) < side:
            raise GraftworkError(
                f"{clip.name}: is {clip.size[0]}x{clip.size[1]}, and a training example takes "
                f"{side}x{side} raw pixels; lower backbone.patch"
            )
        if clip.sensor != clips[0].sensor:
            raise GraftworkError(
                f"{clip.name}: is of sensor '{clip.sensor.name}', and {clips[0].name} of "
                f"'{clips[0].sensor.name}'; train an adapter for each sensor"
            )
    return Examples(data, clips[0].sensor, [noise_of(clip) for clip in clips], settings)


def _below(limit: int, generator: Generator) -> int:
    return int(torch.randint(limit, (), generator=generator))
