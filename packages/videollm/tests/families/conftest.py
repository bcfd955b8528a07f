"""A tiny random model of every family, of the real classes, and what is asked of it."""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText

from graftwork.backbones.videollm.families.backbone import TransformersVideo
from graftwork.backbones.videollm.settings import ChatSettings
from graftwork.core import plugins
from graftwork.testing import toy
from graftwork.video.clip import Clip
from graftwork.video.reading.sampling import FrameSampling
from graftwork.video.record import Record, Turn
from graftwork.video.source import ClipSource

torch.set_num_threads(1)


def _tiny_families() -> dict[str, Callable[[], tuple[Any, Any]]]:
    """`FAMILIES` of the file beside this one; tests lie in no package."""
    path = Path(__file__).with_name("tiny_families.py")
    spec = importlib.util.spec_from_file_location("tiny_families", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FAMILIES


FAMILIES = _tiny_families()


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder as `save_pretrained` leaves it, made once for each family."""
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            folder = made[family] = tmp_path_factory.mktemp(family)
            config, processor = FAMILIES[family]()
            torch.manual_seed(0)
            AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
            processor.save_pretrained(folder)
        return made[family]

    return make


@pytest.fixture(params=sorted(FAMILIES))
def folder(request: pytest.FixtureRequest, family_folder: Callable[[str], Path]) -> Path:
    """Each family in turn."""
    return family_folder(request.param)


@dataclass(frozen=True)
class Film(ClipSource):
    """Noise of a seed, shown at certain times."""

    seed: int = 0
    times: tuple[float, ...] = (0.0, 0.75, 1.5, 2.25)
    height: int = 32
    width: int = 32

    @property
    def name(self) -> str:
        return f"film {self.seed}"

    def key(self, sampling: FrameSampling) -> str:
        return f"{self!r} {sampling.identity()}"

    def read(self, sampling: FrameSampling) -> Clip:
        generator = torch.Generator().manual_seed(self.seed)
        shape = (len(self.times), 3, self.height, self.width)
        frames = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        return Clip(self.name, frames, self.times)


@pytest.fixture(scope="session")
def film() -> type[Film]:
    """Clips of any length and shape."""
    return Film


@pytest.fixture(scope="session")
def record() -> Callable[..., Record]:
    """A record of questions and answers in turn, and clips."""

    def make(*texts: str, clips: Sequence[ClipSource] = (), **more: Any) -> Record:
        pairs = zip(texts[::2], [*texts[1::2], ""], strict=False)
        turns = tuple(Turn(question, answer) for question, answer in pairs)
        return Record(name="a record", clips=tuple(clips), turns=turns, **more)

    return make


@pytest.fixture(scope="session")
def backbone() -> Callable[..., TransformersVideo]:
    """A backbone from a folder."""

    def make(folder: Path, **settings: Any) -> TransformersVideo:
        return TransformersVideo(ChatSettings(path=str(folder), workers=0, **settings))

    return make


@pytest.fixture
def toy_lora() -> Iterator[None]:
    """An adapter of the kit's own."""
    manager = plugins.PluginManager()
    manager.register(toy, "toy")
    with plugins.use(manager):
        yield


@pytest.fixture
def made(folder: Path, backbone: Callable[..., TransformersVideo]) -> TransformersVideo:
    """A backbone of each family in turn."""
    return backbone(folder)
