"""The contract of a task: what backbones of one kind are for, and how adapters are judged there."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from graftwork.nn.backbone import Backbone
from graftwork.nn.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Sheets:
    """Pictures, in 0..1, that show a person what adapters do; a report puts them side by side."""

    frozen: Float[Tensor, "samples 3 height width"]
    """What the frozen backbone made, row by row."""
    adapted: Float[Tensor, "samples 3 height width"]
    """What the adapted one made of the same."""
    columns: int
    """Pictures in each row."""
    rows: Mapping[str, Sequence[str]]
    """A heading for some rows, with what is to be expected of them, to the name of each."""
    note: str = ""
    """One sentence on how they were made."""
    reference: Float[Tensor, "images 3 height width"] | None = None
    """What the adapters are to come near to."""
    reference_title: str = ""
    """The heading of `reference`."""
    sample: tuple[str, ...] = ()
    """What a person writes after `graftwork sample RUN` to see more."""


class Evaluation(ABC):
    """A backbone with its adapters, asked for what metrics of its task look at."""

    @abstractmethod
    def forget(self) -> None:
        """Drop what the adapted backbone made: the adapters have changed."""

    @abstractmethod
    def sheets(self) -> Sheets:
        """What the report shows of the adapters as they are now."""

    def predictions(self) -> Sequence[Mapping[str, Any]]:
        """What was made of each example, as JSON, where it can be read; a run keeps it."""
        return ()


class Task(ABC):
    """How backbones of one kind are judged and put to use.

    Its record's settings are the table `[evaluate]` of a run file; those that the record names as
    `sampling` are the flags of `graftwork sample`.
    """

    @abstractmethod
    def evaluation(
        self, backbone: Backbone, data: Dataset, settings: Any, *, cache: Path | None = None
    ) -> Evaluation:
        """What the metrics of a run are given.

        Args:
            backbone: with the adapters of the run on it.
            data: what they are trained on.
            settings: the table `[evaluate]`.
            cache: folder for what the frozen backbone makes, shared by runs; None for none.

        Raises:
            GraftworkError: the settings do not fit the data or the backbone.
        """

    resumes: ClassVar[bool] = False
    """Whether `sample` goes on with what an interrupted call left in `out`, and refuses a folder
    that is in use for something else; without it `out` is always a new folder."""

    @abstractmethod
    def sample(
        self,
        evaluation: Evaluation,
        inputs: Sequence[Path],
        settings: Any,
        out: Path,
        *,
        identity: str,
    ) -> str:
        """Put adapted weights to use.

        Args:
            evaluation: of the trained run.
            inputs: the files that the person names, if the task takes any.
            settings: the flags of the command.
            out: the folder to write.
            identity: the run and the weight of its adapters; with `inputs` and `settings` it
                decides the result.

        Returns:
            One line that says what was written.

        Raises:
            GraftworkError: an input or a setting cannot be used; nothing is left behind.
        """
