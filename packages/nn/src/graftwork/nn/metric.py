"""The contract of a metric."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar


class Metric(ABC):
    """A function from an evaluation, the one of its task, to named numbers."""

    higher_is_better: ClassVar[bool] = True

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def __call__(self, evaluation: Any) -> Mapping[str, float]:
        """One or more named values; the first bears the metric's own name."""
