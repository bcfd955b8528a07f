"""Clips and what a method made of them, as the metrics of raw video take them."""

from collections.abc import Sequence

from torch import Tensor

from graftwork.raw.evaluation import Restored
from graftwork.raw.levels import normalise
from graftwork.raw.mosaic import pack
from graftwork.raw.pair import ClipPair


class Given:
    """Clips with what one method made of them, for the metrics to look at."""

    def __init__(self, clips: Sequence[Restored]) -> None:
        self.restored = clips

    def clips(self, *, adapted: bool) -> Sequence[Restored]:
        return self.restored


def planes(pair: ClipPair, *, truth: bool = False) -> Tensor:
    """A clip's frames, packed, black at 0 and white at 1."""
    given = pair.truth if truth else pair.noisy
    assert given is not None
    sensor = given.sensor
    return normalise(pack(given.frames(0, len(given)), sensor.pattern), sensor, negatives="keep")


def clip(pair: ClipPair, restored: Tensor) -> Restored:
    return Restored(
        name=pair.noisy.name,
        iso=pair.noisy.iso,
        sensor=pair.noisy.sensor,
        noisy=planes(pair),
        truth=planes(pair, truth=True),
        restored=restored,
    )
