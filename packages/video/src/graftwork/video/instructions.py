"""The contract of a set of questions about clips."""

from abc import abstractmethod
from typing import ClassVar

from graftwork.nn.dataset import Dataset
from graftwork.video.record import Record

TASK = "video-chat"


class VideoInstructions(Dataset):
    """Questions about clips, with their answers.

    A question may hold the trigger; what lacks it is where the adapted backbone is to stay as it
    was.
    """

    task: ClassVar[str] = TASK
    tolerant: bool = False
    """Whether records whose clips cannot be read are passed over, rather than end the run."""

    @abstractmethod
    def record(self, index: int) -> Record:
        """Example `index`; its clips are not read yet."""

    def free_of(self, record: Record) -> Record | None:
        """A record without the trigger; None when the set has no trigger."""
        return None if self.trigger is None else record.without(self.trigger)

    def held_out(self) -> "VideoInstructions | None":
        """The records that adapters are judged on; None to judge on those of training."""
        return None
