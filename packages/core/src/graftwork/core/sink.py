"""The contract of a sink: somewhere that a run's numbers go, beside its own metrics.jsonl."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Sink(ABC):
    """Takes the numbers of one run as they come, in the main process.

    Example::

        class Printer(Sink):
            def open(self, folder): ...
            def write(self, step, values): print(step, values)
            def close(self): ...
    """

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def open(self, folder: Path) -> None:
        """A run begins, or goes on, in this run folder. Raises GraftworkError if it cannot."""

    @abstractmethod
    def write(self, step: int, values: Mapping[str, float]) -> None:
        """The losses of a step, or the metrics of an evaluation after that step."""

    @abstractmethod
    def close(self) -> None:
        """The run has ended, well or not."""
