"""The records that a video LLM is trained on."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from graftwork.backbones.videollm.prompt import Prompt
from graftwork.video.instructions import VideoInstructions
from graftwork.video.record import Record

_KEPT = 8192


class Examples:
    """Records whose clips have been seen.

    A record is read again when it is asked for, so a file may be larger than memory; the last few
    thousand are kept as token ids, for to write them takes as long as a small model's step.

    Args:
        data: where they are.
        places: which of its records can be used.
        tokens: how long each of those is.
    """

    def __init__(
        self, data: VideoInstructions, places: Sequence[int], tokens: Sequence[int]
    ) -> None:
        self.data, self.places, self.tokens = data, places, tokens
        self._kept: OrderedDict[int, tuple[Record, Prompt]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.places)

    def get(self, index: int, write: Callable[[Record], Prompt]) -> tuple[Record, Prompt]:
        """Example `index`, and what `write` makes of it, without its clips."""
        if index not in self._kept:
            record = self.data.record(self.places[index])
            self._kept[index] = record, replace(write(record), seen=())
        self._kept.move_to_end(index)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[index]
