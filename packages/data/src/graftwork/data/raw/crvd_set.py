"""CRVD as a set to train and to judge on."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Literal

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.data.raw.crvd import ISOS, SHOTS, TEST_SCENES, TRAIN_SCENES, crvd_indoor
from graftwork.data.raw.file_set import FileVideos, OnDisk, file_clips
from graftwork.raw.pair import ClipPair


@config
class CRVDConfig:
    """Settings of CRVD."""

    path: str
    """The folder that CRVD was unpacked to."""

    isos: tuple[int, ...] = ISOS
    """The ISOs to take."""

    split: Literal["train", "test"] = "train"
    """Scenes 1 to 6, judged on scenes 7 to 11, or these alone."""


class CRVD(FileVideos):
    """The indoor scenes of CRVD (Yue et al. 2020, RViDeNet), captured noisy, with their truth.

    The split is the published one; figures are computed on shot 0 of scenes 7 to 11.
    """

    def __init__(self, settings: CRVDConfig) -> None:
        self.settings = settings
        unknown = [iso for iso in settings.isos if iso not in ISOS]
        if unknown or not settings.isos:
            known = ", ".join(map(str, ISOS))
            raise GraftworkError(f"data.isos: {list(settings.isos)}: CRVD has {known}")
        scenes = TRAIN_SCENES if settings.split == "train" else TEST_SCENES
        self._clips = list(product(scenes, settings.isos))

    def __len__(self) -> int:
        return len(self._clips)

    def pair(self, index: int, draw: int = 0) -> ClipPair:
        """One scene at one ISO; `draw` counts round the ten shots."""
        scene, iso = self._clips[index]
        path = Path(self.settings.path)
        return crvd_indoor(path, scene=scene, iso=iso, shot=draw % len(SHOTS))

    def held_out(self) -> "CRVD | None":
        """Scenes 7 to 11."""
        if self.settings.split == "test":
            return None
        own = self.settings
        return CRVD(CRVDConfig(path=own.path, isos=own.isos, split="test"))

    def files(self) -> Iterator[OnDisk]:
        """Shot 0 and the truth of every clip."""
        for index in range(len(self)):
            pair = self.pair(index)
            yield from file_clips(pair.noisy, pair.truth)
