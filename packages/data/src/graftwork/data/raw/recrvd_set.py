"""ReCRVD as a set to train and to judge on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from graftwork.core.config import config
from graftwork.data.raw.file_set import FileVideos, OnDisk, file_clips
from graftwork.data.raw.recrvd import BORDER, SHOTS, recrvd_scene, recrvd_scenes
from graftwork.raw.cropped import crop_pair
from graftwork.raw.orientation import Window
from graftwork.raw.pair import ClipPair


@config
class ReCRVDConfig:
    """Settings of ReCRVD."""

    path: str
    """The folder that ReCRVD was unpacked to."""

    split: Literal["train", "test"] = "train"
    """The scenes of train.txt, judged on those of test.txt, or these alone."""


class ReCRVD(FileVideos):
    """ReCRVD (Yue et al. 2023, arXiv:2305.00767), captured noisy, with its truth.

    Training leaves away 16 pixels on every side, which registration may have spoilt, and the test
    does not, as published.
    """

    def __init__(self, settings: ReCRVDConfig) -> None:
        self.settings = settings
        self._scenes = recrvd_scenes(Path(settings.path), settings.split)

    def __len__(self) -> int:
        return len(self._scenes)

    def pair(self, index: int, draw: int = 0) -> ClipPair:
        """One scene; `draw` counts round the ten shots."""
        path, scene = Path(self.settings.path), self._scenes[index]
        pair = recrvd_scene(path, scene=scene, shot=draw % len(SHOTS))
        if self.settings.split == "test":
            return pair
        height, width = pair.noisy.size
        return crop_pair(pair, Window(BORDER, BORDER, height - 2 * BORDER, width - 2 * BORDER))

    def held_out(self) -> "ReCRVD | None":
        """The scenes of test.txt."""
        if self.settings.split == "test":
            return None
        return ReCRVD(ReCRVDConfig(path=self.settings.path, split="test"))

    def files(self) -> Iterator[OnDisk]:
        """Shot 0 and the truth of every clip."""
        for index in range(len(self)):
            pair = self.pair(index)
            yield from file_clips(pair.noisy, pair.truth)
