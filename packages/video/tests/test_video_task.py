"""The task of video chat with a backbone of few words: what is judged, shown, said and kept."""

import json
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from graftwork.core import hookimpl, plugins
from graftwork.core.errors import GraftworkError
from graftwork.testing.toy_records import ToyClip, ToyRecords
from graftwork.video.chat import Decoding, VideoChat
from graftwork.video.clip import Clip
from graftwork.video.evaluation import Judging, VideoEvaluation
from graftwork.video.reading.sampling import FrameSampling
from graftwork.video.record import Record
from graftwork.video.source import ClipSource
from graftwork.video.task import Asking, Chatting


class Echo(VideoChat):
    """Says how many frames it saw and repeats the question; counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace())
        self.module = nn.Linear(1, 1)
        self.sampling = FrameSampling(frames=3)
        self.asked = 0

    def default_sites(self) -> tuple[str, ...]:
        return ("",)

    def prepare(self, data: Any) -> Any:
        return data

    def step(self, *args: Any, **settings: Any) -> Any:
        raise AssertionError("judging takes no step")

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        return None

    def fingerprint(self) -> str:
        return "echo"

    def look(self, records: Sequence[Record], *, tolerant: bool = False) -> Set[ClipSource]:
        unreadable: set[ClipSource] = set()
        for clip in [clip for record in records for clip in record.clips]:
            try:
                clip.read(self.sampling)
            except GraftworkError:
                if not tolerant:
                    raise
                unreadable.add(clip)
        return unreadable

    def answers(self, records: Sequence[Record], decoding: Decoding) -> list[str]:
        self.asked += 1
        return ["".join(self.stream(record, decoding)) for record in records]

    def stream(self, record: Record, decoding: Decoding) -> Iterator[str]:
        frames = sum(len(clip.read(self.sampling)) for clip in record.clips)
        yield f"{frames} frames: "
        yield record.turns[-1].question.split("\n")[-1][: decoding.tokens]

    def likelihoods(self, record: Record) -> list[float]:
        return [-float(len(option)) for option in record.options]


def evaluation(**settings: Any) -> VideoEvaluation:
    cache = settings.pop("cache", None)
    task = Chatting()
    return task.evaluation(Echo(), ToyRecords(records=6), Judging(**settings), cache=cache)


def test_every_record_is_answered_once() -> None:
    judged = evaluation(tokens=40)
    first = judged.answered(adapted=True)
    assert [one.answer for one in first[:2]] == [
        "3 frames: where does the sks move?",
        "3 frames: and the sks color?",
    ]
    assert first[2].answer.startswith("6 frames")
    assert first[0].choice == 2  # "up", the shortest
    assert first[1].choice is None
    assert judged.answered(adapted=True) is first
    judged.forget()
    judged.answered(adapted=True)
    assert judged.backbone.asked == 2


class Broken(ToyClip):
    """A clip that cannot be read."""

    def read(self, sampling: FrameSampling) -> Clip:
        raise GraftworkError("broken")


class Partly(ToyRecords):
    """The second of its records cannot be looked at."""

    def record(self, index: int) -> Record:
        found = super().record(index)
        return replace(found, clips=(Broken(9),)) if index == 1 else found


def test_what_cannot_be_read_is_not_judged() -> None:
    data = Partly(records=3)
    judged = VideoEvaluation(Echo(), data, Judging())
    with pytest.raises(GraftworkError, match="broken"):
        judged.answered(adapted=True)
    data.tolerant = True
    assert [one.record.name for one in judged.answered(adapted=True)] == [
        "toy record 1",
        "toy record 3",
    ]


def test_some_records_are_enough() -> None:
    assert len(evaluation(records=2).answered(adapted=True)) == 2


def test_what_the_frozen_backbone_says_is_kept_on_disk(tmp_path: Path) -> None:
    first = evaluation(cache=tmp_path).answered(adapted=False)
    again = evaluation(cache=tmp_path)
    assert [one.answer for one in again.answered(adapted=False)] == [one.answer for one in first]
    assert again.answered(adapted=False)[0].choice == first[0].choice
    assert again.backbone.asked == 0
    other = evaluation(cache=tmp_path, tokens=3)
    other.answered(adapted=False)
    assert other.backbone.asked == 1


def test_predictions_stand_beside_what_is_right() -> None:
    row = evaluation().predictions()[0]
    assert row["answer"] == "left"
    assert row["adapted"] == row["frozen"] == "3 frames: where does the s"
    assert row["adapted_choice"] == "up"
    assert json.loads(json.dumps(row)) == row


def test_the_report_shows_frames_and_words() -> None:
    sheets = evaluation(shown=2).sheets()
    assert sheets.frozen.shape == sheets.adapted.shape
    assert len(sheets.frozen) == 2
    assert sheets.rows["Question and answer"] == ["toy record 1", "toy record 4"]
    frame, words = sheets.adapted[0, :, :112, :112], sheets.adapted[0, :, 112:]
    assert frame.std() > 0.1
    assert (words.mean(0) < 0.5).sum() > 50  # something is written


def clip_on_disk(folder: Path) -> Path:
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (20, 16), (60 * number, 0, 0)).save(folder / f"{number}.png")
    return folder


def test_questions_about_clips_on_disk(tmp_path: Path) -> None:
    heard: list[str] = []

    class Ear:
        @hookimpl
        def text_written(self, text: str) -> None:
            heard.append(text)

    clips = [clip_on_disk(tmp_path / name) for name in ("a", "b")]
    manager = plugins.PluginManager()
    manager.register(Ear(), "ear")
    with plugins.use(manager):
        told = Chatting().sample(
            evaluation(), clips, Asking(question=("what?", "who?")), tmp_path / "out", identity="x"
        )
    assert told == f"4 answers in {tmp_path / 'out'}"
    assert "".join(heard) == "3 frames: what?\n3 frames: who?\n" * 2
    lines = (tmp_path / "out" / "answers.jsonl").read_text().splitlines()
    assert json.loads(lines[1]) == {
        "clips": ["a"],
        "question": "<video>\nwho?",
        "answer": "3 frames: who?",
    }


def test_all_clips_in_one_question(tmp_path: Path) -> None:
    clips = [clip_on_disk(tmp_path / name) for name in ("a", "b")]
    asking = Asking(question=("which is redder?",), together=True)
    Chatting().sample(evaluation(), clips, asking, tmp_path / "out", identity="x")
    row = json.loads((tmp_path / "out" / "answers.jsonl").read_text())
    assert row["answer"] == "6 frames: which is redder?"


@pytest.mark.parametrize(
    ("questions", "clips", "told"),
    [
        ((), ["a"], "nothing is asked; give --question"),
        (("what?",), [], "no clip is given"),
        (("what?",), ["none.mp4"], r"none\.mp4: no such file"),
        (("<video> <video>?",), ["a"], "2 placeholders for 1 clips"),
    ],
)
def test_what_cannot_be_asked(
    tmp_path: Path, questions: tuple[str, ...], clips: list[str], told: str
) -> None:
    clip_on_disk(tmp_path / "a")
    with pytest.raises(GraftworkError, match=told):
        Chatting().sample(
            evaluation(),
            [tmp_path / name for name in clips],
            Asking(question=questions),
            tmp_path / "out",
            identity="x",
        )
    assert not (tmp_path / "out").exists()
