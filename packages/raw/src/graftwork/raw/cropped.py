"""A part of every frame of a clip."""

from dataclasses import replace
from typing import final

from jaxtyping import Float
from torch import Tensor

from graftwork.raw.clip import RawClip
from graftwork.raw.orientation import Window
from graftwork.raw.pair import ClipPair


@final
class CroppedClip(RawClip):
    """The same rectangle of every frame; it begins at an even row and column, so colours stay."""

    def __init__(self, clip: RawClip, window: Window) -> None:
        super().__init__(
            name=clip.name,
            sensor=clip.sensor,
            content=clip.content,
            iso=clip.iso,
            length=len(clip),
            size=(window.height, window.width),
        )
        self.clip = clip
        self.window = window

    def frame(self, index: int) -> Float[Tensor, "height width"]:
        """The rectangle of the mosaic at `index` in DN."""
        top, left, height, width = self.window
        return self.clip.frame(index)[top : top + height, left : left + width]


def middle(size: tuple[int, int], side: int) -> Window:
    """The square of `side` pixels, made even, in the middle of a frame."""
    side -= side % 2
    top, left = ((length - side) // 4 * 2 for length in size)
    return Window(top, left, side, side)


def crop_pair(pair: ClipPair, window: Window) -> ClipPair:
    """Noisy clip and truth, cut alike."""
    truth = None if pair.truth is None else CroppedClip(pair.truth, window)
    return replace(pair, noisy=CroppedClip(pair.noisy, window), truth=truth)
