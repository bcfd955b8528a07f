"""Where a clip comes from: whatever makes one."""

from abc import ABC, abstractmethod

from graftwork.video.clip import Clip
from graftwork.video.reading.sampling import FrameSampling


class ClipSource(ABC):
    """A clip that is not read yet."""

    backwards: bool = False
    """Whether its last frame comes first."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What errors and pictures call it."""

    @abstractmethod
    def key(self, sampling: FrameSampling) -> str:
        """Hash of its contents and of what is sampled: the name of everything cached from it."""

    @abstractmethod
    def read(self, sampling: FrameSampling) -> Clip:
        """Its sampled frames.

        Raises:
            GraftworkError: it cannot be read.
        """
