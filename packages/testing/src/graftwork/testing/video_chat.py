"""The suites for video LLMs: data sets, backbones, losses, metrics. Needs `graftwork-video`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graftwork.nn import frozen
from graftwork.nn.dataset import Dataset
from graftwork.testing.backbones import BackboneSuite
from graftwork.testing.data import DataSuite
from graftwork.testing.losses import LossSuite
from graftwork.testing.metrics import MetricSuite
from graftwork.testing.toy_evaluation import Outcome
from graftwork.testing.toy_records import ToyAnswers, ToyRecords
from graftwork.video.chat import Decoding, VideoChat
from graftwork.video.instructions import VideoInstructions
from graftwork.video.reading.sampling import FrameSampling
from graftwork.video.step import AnswerStep

_SHORT = Decoding(tokens=4)


class VideoInstructionsSuite(DataSuite):
    """Checks of one kind of set of questions about clips; write `make(self, folder)`."""

    base = VideoInstructions

    def read(self, settings: Mapping[str, Any]) -> VideoInstructions:
        """The data set that the settings describe."""
        data = super().read(settings)
        assert isinstance(data, VideoInstructions)
        return data

    def test_records_repeat(self, tmp_path: Path) -> None:
        """Record i is the same at every call and in every instance.

        When it fails: sort files, and draw from generators made of the settings and `index`.
        """
        settings = self.make(tmp_path)
        first, second = self.read(settings), self.read(settings)
        for data in (first, second):
            data.check()
        for index in reversed(range(len(first))):
            assert first.record(index) == second.record(index), f"record {index} differs"

    def test_clips_can_be_read(self, tmp_path: Path) -> None:
        """Every clip gives frames, the same at every reading, under a key of its own.

        When it fails: read what `key` is made from, and nothing else.
        """
        data, sampling = self.read(self.make(tmp_path)), FrameSampling(frames=2)
        data.check()
        for index in range(len(data)):
            for source in data.record(index).clips:
                clip, again = source.read(sampling), source.read(sampling)
                assert clip.frames.shape[:2] == (2, 3), f"{source.name}: {clip.frames.shape}"
                assert clip.frames.dtype == torch.uint8, f"{source.name}: not uint8"
                assert torch.equal(clip.frames, again.frames), f"{source.name}: read differently"
                other = source.key(FrameSampling(frames=3))
                assert source.key(sampling) != other, "key: leaves out what is sampled"

    def test_questions_without_the_trigger(self, tmp_path: Path) -> None:
        """`free_of` a record lacks the trigger, and is None exactly where there is none.

        When it fails: set `trigger`, and leave `free_of` as it is.
        """
        data = self.read(self.make(tmp_path))
        data.check()
        free = data.free_of(data.record(0))
        assert (free is None) == (data.trigger is None), "free_of: see `trigger`"
        if free is not None and data.trigger is not None:
            said = " ".join(turn.question for turn in free.turns).lower().split()
            assert data.trigger.lower() not in said, "the trigger is still in it"

    def test_held_out_records_are_others(self, tmp_path: Path) -> None:
        """What is judged on is another set of the same task, and holds nothing out itself.

        When it fails: return None, or a set that differs from that of training.
        """
        data = self.read(self.make(tmp_path))
        test = data.held_out()
        if test is not None:
            assert test.hash() != data.hash(), "the records of training are held out"
            assert test.held_out() is None, "the test holds out a test; return None there"


class VideoChatSuite(BackboneSuite):
    """Checks of one video LLM, with an adapter of the kit's own on it."""

    base = VideoChat
    fields = {"prediction": ("logits",), "free": ("adapted_free", "frozen_free")}
    draws = False

    def dataset(self) -> Dataset:
        """What the backbone is given to prepare."""
        return ToyRecords()

    def objective(self, step: AnswerStep) -> Tensor:
        """Both adapted predictions."""
        assert step.logits is not None
        assert step.adapted_free is not None
        target = torch.nn.functional.cross_entropy(step.logits.float(), step.targets)
        return target + step.adapted_free.float().square().mean()

    def chat(self) -> VideoChat:
        """The backbone under test."""
        backbone = self.backbone()
        assert isinstance(backbone, VideoChat)
        return backbone

    def test_it_answers(self) -> None:
        """Every record gets a text, the same alone, among others, and in pieces.

        When it fails: let an answer depend on its record only; mask what is padded.
        """
        backbone, data = self.chat(), ToyRecords()
        records = [data.record(index) for index in range(3)]
        together = list(backbone.answers(records, _SHORT))
        assert len(together) == 3, "one answer for each record"
        alone = [backbone.answers([record], _SHORT)[0] for record in records]
        assert together == alone, "a record is answered otherwise among others; see padding"
        pieces = ["".join(backbone.stream(record, _SHORT)) for record in records]
        assert pieces == alone, "what is streamed is not what is answered"

    def test_drawn_answers_follow_the_seed(self) -> None:
        """Answers that are drawn repeat with their seed, and torch's generator stays where it is.

        When it fails: draw inside `torch.random.fork_rng`, after `manual_seed(seed)`.
        """
        backbone, record = self.chat(), ToyRecords().record(0)
        drawn = Decoding(tokens=6, temperature=1.5, seed=3)
        before = torch.get_rng_state()
        first = backbone.answers([record], drawn)
        assert backbone.answers([record], drawn) == first, "the seed does not decide the answer"
        assert torch.equal(before, torch.get_rng_state()), "it moved torch's global generator"

    def test_likelihoods_fit_the_options(self) -> None:
        """Each option has a log-likelihood, whatever the others are.

        When it fails: average the log-probabilities of the option's own tokens.
        """
        backbone, record = self.chat(), ToyRecords().record(0)
        found = backbone.likelihoods(record)
        assert len(found) == len(record.options), "one number for each option"
        assert all(value <= 1e-6 for value in found), "a log-likelihood is above 0"

    def test_grafts_act_on_answers(self) -> None:
        """A graft changes likelihoods, and `frozen` gives those of the backbone.

        When it fails: answer with `self.module`, not with a copy of it.
        """
        backbone, record = self.chat(), ToyRecords().record(0)
        plain = backbone.likelihoods(record)
        with self.grafted(backbone):
            adapted = backbone.likelihoods(record)
            with frozen(backbone.module):
                off = backbone.likelihoods(record)
        assert adapted != plain, "the graft does not act"
        gap = max(abs(one - two) for one, two in zip(off, plain, strict=True))
        assert gap < 1e-6, "frozen(module) does not give the backbone's answers"


class AnswerLossSuite(LossSuite):
    """Checks of one loss of video LLMs."""

    variants = ("answers",)
    fields = {"prediction": ("logits",), "free": ("adapted_free", "frozen_free")}

    def step(self, variant: str, needs: frozenset[str], *, perfect: bool = False) -> Any:
        """A step in float64 that holds what `needs` names; perfect, each prediction its target."""
        generator = torch.Generator().manual_seed(17)
        targets = torch.randint(0, 7, (5,), generator=generator)
        logits, free, other = (torch.randn(5, 7, generator=generator).double() for _ in range(3))
        certain = torch.nn.functional.one_hot(targets, 7).double() * 100
        made = {
            "logits": certain if perfect else logits,
            "adapted_free": other.clone() if perfect else free,
            "frozen_free": other,
        }
        wanted = {name for need in needs for name in self.fields.get(need, ())}
        return AnswerStep(targets=targets, **{name: made[name] for name in wanted})


class AnswerMetricSuite(MetricSuite):
    """Checks of one metric of video LLMs."""

    range = (0.0, 1.0)
    perfect = {"reproduced": 1.0}

    def evaluation(self, outcome: Outcome = "ordinary", *, features: bool = True) -> Any:
        """Records answered rightly by two in three, none, or all."""
        return ToyAnswers(outcome)
