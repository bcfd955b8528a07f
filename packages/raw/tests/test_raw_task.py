"""The task of raw video with a denoiser of one line: what is judged, shown and written."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graftwork.core import hookimpl, plugins
from graftwork.core.errors import GraftworkError
from graftwork.raw.content import Content
from graftwork.raw.denoiser import RawDenoiser
from graftwork.raw.evaluation import Judging, RawEvaluation
from graftwork.raw.files.folder_clip import open_folder
from graftwork.raw.files.writing import write_clip
from graftwork.raw.levels import denormalise, normalise
from graftwork.raw.mosaic import pack, unpack
from graftwork.raw.sensor_file import load_sensor
from graftwork.raw.task import Denoising, RawVideo
from graftwork.testing.toy_clips import SENSOR, ToyVideos


class Halver(RawDenoiser):
    """Halves the light; counts the frames that it was asked for. Groups of two."""

    group = 2

    def __init__(self) -> None:
        super().__init__(SimpleNamespace())
        self.module = nn.Linear(1, 1)
        self.seen: list[int] = []

    def default_sites(self) -> tuple[str, ...]:
        return ("",)

    def prepare(self, data: Any) -> Any:
        return data

    def step(self, *args: Any, **settings: Any) -> Any:
        raise AssertionError("judging takes no step")

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        return None

    def fingerprint(self) -> str:
        return "halver"

    def denoise(
        self, clip: Any, noise: Any, *, first: int = 0, count: int | None = None
    ) -> Iterator[Tensor]:
        for index in range(first, len(clip) if count is None else first + count):
            self.seen.append(index)
            planes = pack(clip.frame(index), clip.sensor.pattern)
            yield normalise(planes, clip.sensor, negatives="keep") / 2


class Split(ToyVideos):
    def held_out(self) -> ToyVideos:
        return ToyVideos(clips=3, frames=4, side=64)


def judged(**settings: Any) -> RawEvaluation:
    return RawEvaluation(Halver(), Split(), Judging(**settings))


def test_the_clips_that_are_held_out_are_judged() -> None:
    clips = judged(frames=2).clips(adapted=True)
    assert [clip.name for clip in clips] == [f"waves {index} with noise" for index in range(3)]
    assert all(clip.restored.shape == (2, 4, 32, 32) for clip in clips)
    for clip in clips:
        assert torch.allclose(clip.restored, clip.noisy / 2)
        assert 0.09 < float(clip.truth.min()) < float(clip.truth.max()) < 0.91


def test_the_middle_is_cut_out_of_noisy_and_truth_alike() -> None:
    whole, part = judged().clips(adapted=True)[0], judged(crop=32).clips(adapted=True)[0]
    assert part.noisy.shape[-2:] == (16, 16)
    for name in ("noisy", "truth", "restored"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[..., 8:24, 8:24])
    with pytest.raises(GraftworkError, match=r"evaluate\.crop: 100 is more than the 64x64"):
        judged(crop=100)


def test_the_adapted_clips_are_made_again_when_the_adapter_changed() -> None:
    evaluation = judged(clips=1, frames=1)
    evaluation.clips(adapted=False)
    evaluation.clips(adapted=True)
    evaluation.clips(adapted=True)
    assert evaluation.backbone.seen == [0, 0]
    evaluation.forget()
    evaluation.clips(adapted=True)
    evaluation.clips(adapted=False)
    assert evaluation.backbone.seen == [0, 0, 0]


def test_the_frozen_clips_are_kept_on_disk(tmp_path: Path) -> None:
    first = RawEvaluation(Halver(), Split(), Judging(frames=1), cache=tmp_path)
    kept = first.clips(adapted=False)
    again = RawEvaluation(Halver(), Split(), Judging(frames=1), cache=tmp_path)
    assert torch.equal(again.clips(adapted=False)[2].restored, kept[2].restored)
    assert again.backbone.seen == []
    other = RawEvaluation(Halver(), Split(), Judging(frames=2), cache=tmp_path)
    other.clips(adapted=False)
    assert other.backbone.seen, "other settings take what was made with these"


def test_the_sheet_shows_noisy_frozen_adapted_and_truth() -> None:
    sheets = judged(exposure=1.0).sheets()
    assert sheets.columns == 2
    assert sheets.frozen.shape == sheets.adapted.shape == (6, 3, 64, 64)
    noisy, frozen, adapted, truth = *sheets.frozen[:2], *sheets.adapted[:2]
    assert frozen.mean() < noisy.mean()
    assert torch.equal(frozen, adapted)
    assert (noisy - truth).abs().mean() < 0.1
    ((_, names),) = sheets.rows.items()
    assert list(names) == [f"waves {i} with noise, ISO {(100, 400)[i % 2]}" for i in range(3)]


# -- graftwork sample --------------------------------------------------------------------------


def clip_folder(path: Path, frames: int = 5) -> Path:
    noisy = ToyVideos(clips=1, frames=frames, side=64).pair(0).noisy
    write_clip(path, iter(noisy), SENSOR)
    return path


def sample(
    inputs: list[Path], out: Path, backbone: Halver | None = None, who: str = "me", **settings: Any
) -> str:
    evaluation = RawEvaluation(backbone or Halver(), Split(), Judging(frames=1))
    given = Denoising(**{"iso": 100, **settings})
    return RawVideo().sample(evaluation, inputs, given, out, identity=who)


def test_raw_in_raw_out_with_levels_names_and_a_picture(tmp_path: Path) -> None:
    folder = clip_folder(tmp_path / "in")
    assert sample([folder], tmp_path / "out") == f"5 frames in {tmp_path / 'out'}"
    names = {path.name for path in folder.iterdir()}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names | {"preview"}
    assert (tmp_path / "out" / "preview" / "first.png").is_file()
    assert load_sensor(tmp_path / "out" / "sensor.toml") == SENSOR
    noisy = open_folder(folder, SENSOR, content=Content.CAPTURED)
    restored = open_folder(tmp_path / "out", SENSOR, content=Content.CLEAN)
    for index in range(5):
        planes = normalise(pack(noisy.frame(index), "RGGB"), SENSOR, negatives="keep") / 2
        expected = unpack(denormalise(planes, SENSOR), "RGGB")
        assert (restored.frame(index) - expected).abs().max() <= 0.5


def test_an_interrupted_call_goes_on_at_its_group(tmp_path: Path) -> None:
    folder = clip_folder(tmp_path / "in")

    class Stops:
        @hookimpl
        def work_done(self, done: int) -> None:
            if done == 3:
                raise KeyboardInterrupt

    manager = plugins.PluginManager.empty()
    manager.register(Stops(), "stops")
    with plugins.use(manager), pytest.raises(KeyboardInterrupt):
        sample([folder], tmp_path / "out")
    done = sorted(path.name for path in (tmp_path / "out").glob("*.tiff"))
    before = (tmp_path / "out" / done[0]).stat().st_mtime_ns
    with pytest.raises(GraftworkError, match="unfinished work of another call; repeat that one"):
        sample([folder], tmp_path / "out", who="another run")
    backbone = Halver()
    sample([folder], tmp_path / "out", backbone)
    assert len(done) == 3
    assert backbone.seen[0] == 2, "the group of the first missing frame"
    assert (tmp_path / "out" / done[0]).stat().st_mtime_ns == before
    assert len(list((tmp_path / "out").glob("*.tiff"))) == 5
    assert not (tmp_path / "out" / "unfinished.txt").exists()
    with pytest.raises(GraftworkError, match="exists already; choose another --out"):
        sample([folder], tmp_path / "out")


def test_several_clips_go_into_folders_of_their_names(tmp_path: Path) -> None:
    inputs = [clip_folder(tmp_path / name, frames=2) for name in ("a", "b")]
    sample(inputs, tmp_path / "out", frames=1, preview="none")
    for name in ("a", "b"):
        assert [p.suffix for p in sorted((tmp_path / "out" / name).iterdir())] == [".tiff", ".toml"]
    with pytest.raises(GraftworkError, match="two clips have folders of one name"):
        sample([inputs[0], inputs[0]], tmp_path / "again")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"iso": 1600}, "1600.*100, 400"),
        ({"sensor": "crvx"}, "crvx"),
        ({"sensor": "crvd", "iso": 1600}, "do not fit the pattern GBRG of sensor crvd"),
    ],
)
def test_what_does_not_fit_the_clip_is_refused(
    tmp_path: Path, settings: dict[str, Any], says: str
) -> None:
    folder = clip_folder(tmp_path / "in", frames=2)
    with pytest.raises(GraftworkError, match=says):
        sample([folder], tmp_path / "out", **settings)


def test_no_clip_is_told() -> None:
    with pytest.raises(GraftworkError, match="no clip is given; name a folder of raw frames"):
        sample([], Path("out"))


def test_a_refused_call_leaves_nothing(tmp_path: Path) -> None:
    folder = clip_folder(tmp_path / "in", frames=2)
    with pytest.raises(GraftworkError, match="1600"):
        sample([folder], tmp_path / "out", iso=1600)
    assert not (tmp_path / "out").exists()
