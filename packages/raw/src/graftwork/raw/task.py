"""The task of backbones that denoise raw video."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from graftwork.core import plugins
from graftwork.core.config import Ge, Gt, config
from graftwork.core.errors import GraftworkError
from graftwork.nn.backbone import Backbone
from graftwork.nn.dataset import Dataset
from graftwork.nn.task import Evaluation, Task
from graftwork.raw.content import Content
from graftwork.raw.denoiser import RawDenoiser
from graftwork.raw.evaluation import Judging, RawEvaluation
from graftwork.raw.files.folder_clip import FileClip, open_folder
from graftwork.raw.files.previews import write_mp4, write_png
from graftwork.raw.files.writing import write_mosaic
from graftwork.raw.levels import denormalise
from graftwork.raw.mosaic import unpack
from graftwork.raw.noise_model import Noise
from graftwork.raw.noise_of import noise_of
from graftwork.raw.sensor import Sensor
from graftwork.raw.sensor_file import load_sensor
from graftwork.raw.videos import RawVideos
from graftwork.raw.work import Work


@config
class Denoising:
    """How a clip on disk is denoised."""

    sensor: str | None = None
    """A shipped sensor or a TOML file; absent for `sensor.toml` in the clip's folder, or else the
    sensor of the run's data."""

    iso: Annotated[int, Gt(0)] | None = None
    """ISO of the clip; absent to estimate its noise from its frames."""

    frames: Annotated[int, Ge(1)] | None = None
    """How many frames, from the first on; absent for all."""

    preview: Literal["png", "mp4", "none"] = "png"
    """What to look at: the first frame, a film, or nothing; through graftwork-isp-1."""

    exposure: Annotated[float, Gt(0)] = 2.0
    """How many times brighter the preview is."""


class RawVideo(Task):
    """Noisy raw frames denoised."""

    resumes: ClassVar[bool] = True

    def evaluation(
        self, backbone: Backbone, data: Dataset, settings: Judging, *, cache: Path | None = None
    ) -> RawEvaluation:
        """The clips that the data holds out, restored."""
        assert isinstance(backbone, RawDenoiser)
        assert isinstance(data, RawVideos)
        return RawEvaluation(backbone, data, settings, cache=cache)

    def sample(
        self,
        evaluation: Evaluation,
        inputs: Sequence[Path],
        settings: Denoising,
        out: Path,
        *,
        identity: str,
    ) -> str:
        """Denoise folders of raw frames into folders of raw frames.

        A folder's frames come to lie in `out` under their names; those of several in folders of
        their names. An interrupted call that is repeated goes on where it was.
        """
        assert isinstance(evaluation, RawEvaluation)
        if not inputs:
            raise GraftworkError("sample: no clip is given; name a folder of raw frames")
        places = [out] if len(inputs) == 1 else [out / path.name for path in inputs]
        if len(set(places)) < len(places):
            raise GraftworkError("sample: two clips have folders of one name; rename one")
        clips = [_open(path, evaluation, settings) for path in inputs]
        noises = [noise_of(clip) for clip in clips]  # refuses before anything is written
        works = [
            Work(clip, place, _count(clip, settings), f"{identity} {path.resolve()} {settings}")
            for path, clip, place in zip(inputs, clips, places, strict=True)
        ]
        for work, first, noise in zip(works, [w.begin() for w in works], noises, strict=True):
            _denoise(evaluation.backbone, work, noise, first)
            _preview(work, settings)
            work.end()
        return f"{sum(work.count for work in works)} frames in {out}"


def _open(folder: Path, evaluation: RawEvaluation, settings: Denoising) -> FileClip:
    beside = folder / "sensor.toml"
    if settings.sensor is not None:
        sensor = load_sensor(settings.sensor)
    else:
        sensor = load_sensor(beside) if beside.is_file() else _own_sensor(evaluation)
    return open_folder(folder, sensor, content=Content.CAPTURED, iso=settings.iso)


def _own_sensor(evaluation: RawEvaluation) -> Sensor:
    return evaluation.pairs[0].noisy.sensor


def _count(clip: FileClip, settings: Denoising) -> int:
    return min(len(clip), settings.frames or len(clip))


def _denoise(backbone: RawDenoiser, work: Work, noise: Noise, done: int) -> None:
    clip, sensor = work.clip, work.clip.sensor
    first = done - done % backbone.group
    if first >= work.count:
        return
    restored = backbone.denoise(clip, noise, first=first, count=work.count - first)
    for index, planes in enumerate(restored, start=first):
        if index >= done:
            mosaic = unpack(denormalise(planes.cpu(), sensor), sensor.pattern)
            write_mosaic(work.frame(index), mosaic, sensor)
        plugins.manager().hook.work_done(what="frames", done=index + 1, total=work.count)


def _preview(work: Work, settings: Denoising) -> None:
    if settings.preview == "none":
        return
    paths = [work.frame(index) for index in range(work.count)]
    sensor = work.clip.sensor
    clip = FileClip(paths, sensor, content=Content.CLEAN, name=str(work.out))
    # In a folder of its own: among the frames a picture would pass for one.
    folder = work.out / "preview"
    if settings.preview == "png":
        write_png(folder / "first.png", clip.frame(0), sensor, exposure=settings.exposure)
    else:
        write_mp4(folder / "film.mp4", iter(clip), sensor, exposure=settings.exposure)
