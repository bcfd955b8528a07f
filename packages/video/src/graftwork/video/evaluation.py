"""Judging a video LLM: the last question of every record answered, once for all metrics."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Protocol, runtime_checkable

from graftwork.core import atomic
from graftwork.core.config import Ge, config
from graftwork.nn import frozen
from graftwork.nn.task import Evaluation, Sheets
from graftwork.video.chat import Decoding, VideoChat
from graftwork.video.instructions import VideoInstructions
from graftwork.video.readable import readable, refuse_none
from graftwork.video.record import PLACEHOLDER, Record
from graftwork.video.strips import strip


@config
class Judging:
    """What is asked to judge an adapter."""

    records: Annotated[int, Ge(1)] | None = None
    """How many records; absent for all that the data holds out."""

    tokens: Annotated[int, Ge(1)] = 16
    """How long an answer may be."""

    shown: Annotated[int, Ge(1)] = 6
    """Records in the report, spread over all."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One record with what was said."""

    record: Record
    answer: str
    """The greedy answer to its last question."""
    likelihoods: Sequence[float]
    """Mean log-likelihood of a token of each option; empty without options."""

    @property
    def choice(self) -> int | None:
        """The likeliest option; None without options. Of equal ones the first."""
        if not self.likelihoods:
            return None
        return max(range(len(self.likelihoods)), key=lambda index: self.likelihoods[index])


@runtime_checkable
class Answers(Protocol):
    """What a metric may ask of an adapted video LLM."""

    def answered(self, *, adapted: bool) -> Sequence[Answered]:
        """Every record that is judged, answered by the adapted or the frozen backbone."""


class VideoEvaluation(Evaluation):
    """The `Answers` of a backbone.

    What the frozen backbone says is kept for the life of the object and, given a `cache` folder,
    on disk.
    """

    def __init__(
        self,
        backbone: VideoChat,
        data: VideoInstructions,
        settings: Judging,
        *,
        cache: Path | None = None,
    ) -> None:
        self.backbone, self.settings, self.cache = backbone, settings, cache
        self.data = data.held_out() or data
        self._answered: dict[bool, Sequence[Answered]] = {}

    @cached_property
    def records(self) -> Sequence[Record]:
        """What is judged: records of which every clip can be read.

        Raises:
            GraftworkError: a clip cannot be read and the data is not tolerant, or nothing is left.
        """
        count = min(len(self.data), self.settings.records or len(self.data))
        records = {index: self.data.record(index) for index in range(count)}
        kept = readable(self.backbone, self.data, records)
        refuse_none(kept)
        return [records[index] for index in kept]

    def answered(self, *, adapted: bool) -> Sequence[Answered]:
        """Every record that is judged."""
        if adapted not in self._answered:
            self._answered[adapted] = self._ask() if adapted else self._frozen()
        return self._answered[adapted]

    def forget(self) -> None:
        """Drop what the adapted backbone said."""
        self._answered.pop(True, None)

    def predictions(self) -> Sequence[Mapping[str, Any]]:
        """What was said to every record, by both, beside the answer it has."""
        both = zip(self.answered(adapted=False), self.answered(adapted=True), strict=True)
        return [_prediction(before, after) for before, after in both]

    def sheets(self) -> Sheets:
        """Some records: frames of their first clip, the question, and what was said."""
        step = -(-len(self.records) // self.settings.shown)
        before, after = (self.answered(adapted=which)[::step] for which in (False, True))
        return Sheets(
            frozen=strip(before),
            adapted=strip(after),
            columns=1,
            rows={"Question and answer": [one.record.name for one in before]},
            note="Nothing was picked: these are spread over the records that are judged.",
            sample=("CLIP", "--question", _words(self.records[0])),
        )

    def _ask(self) -> Sequence[Answered]:
        answers = self.backbone.answers(self.records, Decoding(tokens=self.settings.tokens))
        return [
            Answered(
                record=record,
                answer=answer,
                likelihoods=self.backbone.likelihoods(record) if record.options else (),
            )
            for record, answer in zip(self.records, answers, strict=True)
        ]

    def _frozen(self) -> Sequence[Answered]:
        path = None if self.cache is None else self.cache / f"frozen-{self._key()}.json"
        if path is not None and path.exists():
            said = json.loads(path.read_text(encoding="utf-8"))
            return [
                Answered(record=record, **one)
                for record, one in zip(self.records, said, strict=True)
            ]
        with frozen(self.backbone.module):
            made = self._ask()
        if path is not None:
            said = [{"answer": one.answer, "likelihoods": list(one.likelihoods)} for one in made]
            atomic.write_text(path, json.dumps(said))
        return made

    def _key(self) -> str:
        parts = (
            self.backbone.fingerprint(),
            repr(self.backbone.settings),
            repr(self.settings),
            self.data.hash(),
            [record.name for record in self.records],
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _prediction(before: Answered, after: Answered) -> Mapping[str, Any]:
    record = after.record
    row = {
        "record": record.name,
        "group": record.group,
        "question": record.turns[-1].question,
        "answer": record.answer,
        "frozen": before.answer,
        "adapted": after.answer,
    }
    if after.choice is None or before.choice is None:
        return row
    options = record.options
    return row | {
        "options": list(options),
        "frozen_choice": options[before.choice],
        "adapted_choice": options[after.choice],
    }


def _words(record: Record) -> str:
    return " ".join(PLACEHOLDER.sub(" ", record.turns[-1].question).split())
