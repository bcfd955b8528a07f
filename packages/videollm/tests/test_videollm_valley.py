"""The backbone `valley`: what is cached, what is skipped, stages of training, and bad folders."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from graftwork.backbones.videollm.settings import ValleySettings
from graftwork.backbones.videollm.valley_backbone import ValleyBackbone
from graftwork.core import plugins
from graftwork.core.errors import GraftworkError, GraftworkWarning
from graftwork.nn import graft
from graftwork.nn.match import match_sites
from graftwork.testing import toy
from graftwork.testing.toy_records import ToyClip, ToyRecords
from graftwork.video.clip import Clip
from graftwork.video.file_source import FileSource
from graftwork.video.instructions import VideoInstructions
from graftwork.video.reading.sampling import FrameSampling
from graftwork.video.record import Record, Turn

NEEDS = frozenset({"prediction"})


@pytest.fixture(autouse=True)
def _toy_lora() -> Iterator[None]:
    """An adapter of the kit's own."""
    manager = plugins.PluginManager()
    manager.register(toy, "toy")
    with plugins.use(manager):
        yield


@dataclass(frozen=True)
class Counted(ToyClip):
    """A clip that counts how often it is read."""

    counts: tuple[list[int], ...] = ([],)

    def key(self, sampling: FrameSampling) -> str:
        return ToyClip(self.number).key(sampling)

    def read(self, sampling: FrameSampling) -> Clip:
        self.counts[0].append(self.number)
        return ToyClip(self.number).read(sampling)

    def __hash__(self) -> int:
        return self.number


class CountedRecords(ToyRecords):
    """Toy records, with what was read."""

    def __init__(self) -> None:
        super().__init__(records=3)
        self.read: list[int] = []

    def record(self, index: int) -> Record:
        record = super().record(index)
        clips = tuple(Counted(clip.number, counts=(self.read,)) for clip in record.clips)
        return replace(record, clips=clips)


def backbone(folder: Path, **settings: Any) -> ValleyBackbone:
    return ValleyBackbone(ValleySettings(path=str(folder), workers=0, **settings))


def logits(made: ValleyBackbone, data: VideoInstructions) -> torch.Tensor:
    examples = made.prepare(data)
    everything = range(len(examples))
    found = made.step(examples, everything, needs=NEEDS, generator=torch.Generator())
    assert found.logits is not None
    return found.logits


def test_a_clip_is_read_once_for_all_runs(valley_folder: Path, tmp_path: Path) -> None:
    data = CountedRecords()
    first = logits(backbone(valley_folder, cache=str(tmp_path)), data)
    assert sorted(data.read) == [0, 1, 2, 3]
    again = logits(backbone(valley_folder, cache=str(tmp_path)), data)
    assert len(data.read) == 4
    assert torch.equal(first, again)
    logits(backbone(valley_folder, cache=str(tmp_path), frames=5), data)
    assert len(data.read) == 8  # other frames


def test_other_weights_of_the_tower_see_anew(valley_folder: Path, tmp_path: Path) -> None:
    data = CountedRecords()
    logits(backbone(valley_folder, cache=str(tmp_path)), data)
    other = backbone(valley_folder, cache=str(tmp_path))
    with torch.no_grad():
        next(other.module.get_submodule("model.vision_tower").parameters()).add_(0.1)
    logits(other, data)
    assert len(data.read) == 8


def test_a_graft_on_the_tower_learns(valley_folder: Path) -> None:
    made, data = backbone(valley_folder), CountedRecords()
    handle = graft(made.module, "toy-lora", {}, sites="model.vision_tower.*.layers.0.*")
    examples = made.prepare(data)
    step = made.step(examples, [0], needs=NEEDS, generator=torch.Generator())
    assert step.logits is not None
    step.logits.sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in handle.parameters())


def test_adapters_keep_their_dtype_when_the_model_is_cast(valley_folder: Path) -> None:
    made, data = backbone(valley_folder), CountedRecords()
    handle = graft(made.module, "toy-lora", {}, sites=made.default_sites())
    made.to(torch.device("cpu"), torch.bfloat16)
    assert {p.dtype for p in handle.parameters()} == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):
        assert logits(made, data).isfinite().all()
    assert next(made.module.parameters()).dtype == torch.bfloat16


def test_default_sites_are_the_decoder_alone(valley_folder: Path) -> None:
    made = backbone(valley_folder)
    sites = match_sites(made.module, made.default_sites())
    assert len(sites) == 2 * 7  # q, k, v, o, gate, up, down of two layers
    assert not any("vision" in name for name in sites)


class Pictures(VideoInstructions):
    """Questions about files, some of which cannot be read."""

    def __init__(self, *paths: Path, tolerant: bool = False) -> None:
        self.paths, self.tolerant = paths, tolerant

    def __len__(self) -> int:
        return len(self.paths)

    def record(self, index: int) -> Record:
        source = FileSource(self.paths[index])
        turns = (Turn("<image> what do you see?", "red"),)
        return Record(name=f"record {index + 1}", clips=(source,), turns=turns)

    def check(self) -> None:
        return None

    def hash(self) -> str:
        return "x"


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.new("RGB", (40, 30), "red").save(good)
    bad.write_bytes(good.read_bytes()[:60])
    return [good, bad]


def test_what_cannot_be_read_ends_the_run_or_is_passed_over(
    valley_folder: Path, pictures: list[Path]
) -> None:
    made = backbone(valley_folder)
    with pytest.raises(GraftworkError, match=r"bad\.png"):
        made.prepare(Pictures(*pictures))
    data = Pictures(*pictures, tolerant=True)
    with pytest.warns(GraftworkWarning, match=r"passed over 1 files .*bad\.png"):
        examples = made.prepare(data)
    assert list(examples.places) == [0]
    assert len(examples) == 1
    assert list(data.skipped) == [pictures[1]]
    nothing = Pictures(pictures[1], tolerant=True)
    with pytest.warns(GraftworkWarning), pytest.raises(GraftworkError, match="no clip can be read"):
        made.prepare(nothing)


def test_a_record_longer_than_the_context(valley_folder: Path, tmp_path: Path) -> None:
    made = backbone(valley_folder)
    made.llm.dialogues.context = 30
    with pytest.raises(GraftworkError, match="toy record 1: does not fit into 30 tokens"):
        made.prepare(ToyRecords())


def test_a_second_stage_starts_from_the_first(valley_folder: Path, tmp_path: Path) -> None:
    first, data = backbone(valley_folder), ToyRecords()
    plain = logits(first, data)
    handle = graft(first.module, "toy-lora", {}, sites="model.projector")
    with torch.no_grad():
        for parameter in handle.parameters():
            parameter.normal_()
    trained = logits(first, data)
    handle.save(tmp_path / "run" / "adapter")
    second = backbone(valley_folder, merged=(str(tmp_path / "run"),))
    found = logits(second, data)
    assert torch.allclose(found, trained, atol=1e-4)
    assert not torch.allclose(found, plain, atol=1e-2)


def test_it_is_saved_as_transformers_loads_it(valley_folder: Path, tmp_path: Path) -> None:
    made = backbone(valley_folder)
    made.save(tmp_path / "saved")
    again = backbone(tmp_path / "saved")
    assert again.fingerprint() == made.fingerprint()
    graft(made.module, "toy-lora", {}, sites=made.default_sites())
    with pytest.raises(GraftworkError, match="merge or detach them first"):
        made.save(tmp_path / "again")


def test_folders_that_hold_no_valley(valley_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GraftworkError, match=r"backbone\.path: none: no such folder"):
        backbone(Path("none"))
    with pytest.raises(GraftworkError, match=r"has no config\.json"):
        backbone(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(valley_folder, copy)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(GraftworkError, match="copy: cannot be loaded"):
        backbone(copy)


def test_a_tokenizer_of_another_model(valley_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(valley_folder, copy)
    (copy / "tokenizer.json").unlink()
    with pytest.raises(GraftworkError, match="copy"):
        backbone(copy)
