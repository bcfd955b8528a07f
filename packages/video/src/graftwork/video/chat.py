"""The contract of a video LLM."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import ClassVar

from graftwork.nn.backbone import Backbone
from graftwork.video.instructions import TASK
from graftwork.video.reading.sampling import FrameSampling
from graftwork.video.record import Record
from graftwork.video.source import ClipSource


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How an answer is found."""

    tokens: int = 64
    """At most so many."""
    temperature: float = 0.0
    """0 for the likeliest token each time; above, tokens are drawn."""
    seed: int = 0
    """Of what is drawn."""


class VideoChat(Backbone):
    """A backbone that answers questions about clips; its steps are `AnswerStep`s.

    Grafts act according to their weights; wrap a call in `frozen(module)` for the backbone alone.
    """

    task: ClassVar[str] = TASK
    sampling: FrameSampling
    """Which frames of a clip it looks at."""

    @abstractmethod
    def look(self, records: Sequence[Record], *, tolerant: bool = False) -> Set[ClipSource]:
        """Read and encode the clips of some records, so that asking about them need not.

        Returns:
            The clips that cannot be read; none unless `tolerant`.

        Raises:
            GraftworkError: a clip cannot be read, and that is not tolerated.
        """

    @abstractmethod
    def answers(self, records: Sequence[Record], decoding: Decoding) -> Sequence[str]:
        """An answer to the last question of each record; an answer depends on its record only.

        Raises:
            GraftworkError: a clip cannot be read, or a record is longer than the context.
        """

    @abstractmethod
    def stream(self, record: Record, decoding: Decoding) -> Iterator[str]:
        """The same answer as `answers` gives, in pieces as they come."""

    @abstractmethod
    def likelihoods(self, record: Record) -> Sequence[float]:
        """Mean log-likelihood of a token of each of the record's options as the last answer."""
