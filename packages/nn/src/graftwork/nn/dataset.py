"""The contract of a data set."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar


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

    def captions(self) -> Sequence[str]:
        """The texts of all examples in order; empty where examples have none."""
        return ()
