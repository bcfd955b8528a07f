"""The contract of a set of raw clips."""

from abc import abstractmethod
from typing import ClassVar

from graftwork.nn.dataset import Dataset
from graftwork.raw.pair import ClipPair

TASK = "raw-video"


class RawVideos(Dataset):
    """Noisy clips, each with its truth where there is one.

    Example `index` is one scene at one ISO.
    """

    task: ClassVar[str] = TASK

    @abstractmethod
    def pair(self, index: int, draw: int = 0) -> ClipPair:
        """Clip `index` and its truth.

        Args:
            index: which clip.
            draw: which realisation of the noise. Where noise is added every number is another
                one; captured sets count round those that were shot.

        Raises:
            GraftworkError: a file is missing or damaged.
        """

    def held_out(self) -> "RawVideos | None":
        """The clips that adapters are judged on; None to judge on those of training."""
        return None
