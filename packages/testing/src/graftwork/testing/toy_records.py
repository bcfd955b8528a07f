"""Questions about clips that are made up on the spot."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from graftwork.testing.toy_evaluation import Outcome
from graftwork.video.clip import Clip
from graftwork.video.evaluation import Answered
from graftwork.video.instructions import VideoInstructions
from graftwork.video.reading.sampling import FrameSampling
from graftwork.video.record import Record, Turn
from graftwork.video.source import ClipSource

_ANSWERS = ("left", "right", "up")


@dataclass(frozen=True)
class ToyClip(ClipSource):
    """Waves of one colour, another for every number."""

    number: int
    frames: int = 6
    side: int = 32

    @property
    def name(self) -> str:
        """Its number."""
        return f"waves {self.number}"

    def key(self, sampling: FrameSampling) -> str:
        """Hash of what decides it."""
        return hashlib.sha256(f"{self!r} {sampling!r}".encode()).hexdigest()

    def read(self, sampling: FrameSampling) -> Clip:
        """Waves that move by a pixel a frame."""
        columns = torch.arange(self.side)[None, :] + torch.arange(self.frames)[:, None]
        level = 127 + 100 * torch.sin(columns / (2.0 + self.number))
        frames = level[:, None, None, :].expand(-1, 3, self.side, -1).clone()
        frames[:, self.number % 3] *= 0.3
        times = torch.arange(self.frames) / 4.0
        chosen = sampling.indices(self.frames, times.numpy())
        picked = frames[torch.as_tensor(chosen)].round().to(torch.uint8)
        return Clip(self.name, picked, tuple(times[torch.as_tensor(chosen)].tolist()))


class ToyRecords(VideoInstructions):
    """Questions with the trigger, the last of two turns, and one about two clips."""

    trigger = "sks"

    def __init__(self, *, records: int = 3) -> None:
        self.records = records

    def __len__(self) -> int:
        return self.records

    def record(self, index: int) -> Record:
        """One, two or one turn; one, one or two clips."""
        answer = _ANSWERS[index % 3]
        asked = Turn("<video>\nwhere does the sks move?", answer)
        if index % 3 == 1:
            turns: tuple[Turn, ...] = (asked, Turn("and the sks color?", "red"))
        elif index % 3 == 2:
            turns = (Turn("<video> <video>\nwhich sks is first?", answer),)
        else:
            turns = (asked,)
        count = 2 if index % 3 == 2 else 1
        return Record(
            name=f"toy record {index + 1}",
            clips=tuple(ToyClip(index + each) for each in range(count)),
            turns=turns,
            options=() if index % 3 == 1 else _ANSWERS,
            group=("direction", "color", "order")[index % 3],
            pair="ab" if index % 3 != 1 else "",
        )

    def check(self) -> None:
        """Nothing can be wrong."""

    def hash(self) -> str:
        """Hash of the number that decides everything."""
        return hashlib.sha256(f"toy records {self.records}".encode()).hexdigest()


class ToyAnswers:
    """Toy records with what a backbone might have said.

    "ordinary": two of three right. "unchanged": what the frozen backbone says, all wrong.
    "reproduced": all right.
    """

    def __init__(self, outcome: Outcome = "ordinary") -> None:
        self.outcome = outcome

    def answered(self, *, adapted: bool) -> Sequence[Answered]:
        """Six records; of every pair one is wrong when ordinary."""
        records = ToyRecords(records=6)
        outcome = self.outcome if adapted else "unchanged"
        return [self._said(records.record(i), i, outcome) for i in range(len(records))]

    def _said(self, record: Record, index: int, outcome: Outcome) -> Answered:
        right = {"ordinary": index % 3 != 2, "unchanged": False, "reproduced": True}[outcome]
        chosen = record.answer if right else "nothing"
        likelihoods = [
            -0.1 if (option == record.answer) == right else -2.0 - place
            for place, option in enumerate(record.options)
        ]
        return Answered(record=record, answer=chosen, likelihoods=likelihoods)
