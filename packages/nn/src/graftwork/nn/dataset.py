"""The contract of a data set."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from graftwork.core.errors import GraftworkWarning


class Dataset(ABC):
    """Examples read from disk, checked before the first step; what one holds is its task's affair.

    A *trigger* is the rare word that stands for what the adapter is to learn.
    """

    task: ClassVar[str]
    trigger: str | None = None
    skipped: Sequence[Path] = ()
    """Files that were passed over because they cannot be used."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def check(self) -> None:
        """Raise `GraftworkError`, naming the file, for anything that cannot be used."""

    @abstractmethod
    def hash(self) -> str:
        """Hexadecimal hash of the contents, the key of everything cached from this set."""

    def pass_over(self, paths: Iterable[Path]) -> None:
        """Count files among the skipped that turned out unusable later, and warn of them."""
        new = [path for path in dict.fromkeys(paths) if path not in self.skipped]
        self.skipped = (*self.skipped, *new)
        tell_skipped(new)

    def captions(self) -> Sequence[str]:
        """The texts of all examples in order; empty where examples have none."""
        return ()


def tell_skipped(paths: Sequence[Path]) -> None:
    """Warn that files were passed over: how many, and one of them."""
    if paths:
        warnings.warn(
            f"data: passed over {len(paths)} files that cannot be used ('{paths[0].name}' first)",
            GraftworkWarning,
            stacklevel=3,
        )
