"""A person's own clips as a set to train and to judge on."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

from graftwork.core.config import Gt, Le, config
from graftwork.core.errors import GraftworkError
from graftwork.data.images import SUFFIXES
from graftwork.data.raw.file_set import FileVideos, OnDisk, file_clips
from graftwork.data.raw.footage import FILMS, FilmFile, Footage, Pictures
from graftwork.data.raw.mosaicking import UnprocessedClip
from graftwork.raw.clip import RawClip
from graftwork.raw.content import Content
from graftwork.raw.files.folder_clip import open_folder
from graftwork.raw.files.sequence import find_frames
from graftwork.raw.pair import ClipPair, captured, noised
from graftwork.raw.sensor_file import load_sensor

NOISY, TRUTH = "noisy", "truth"


@config
class RawClipsConfig:
    """Settings of raw clips in folders."""

    path: str
    """A folder with a folder for each clip. A clip's frames lie in it, or in `noisy` and `truth`
    inside it; ordinary clips may be film files too."""

    frames: Literal["noisy", "clean", "ordinary"]
    """What the frames hold. ``noisy``: a camera's own noise, and nothing is added. ``clean``: no
    noise, and that of `isos` is added for training. ``ordinary``: no raw numbers but an ordinary
    film, as pictures (PNG, JPEG, ...) or as a file (MP4, ...); it is unprocessed, and noise is
    added as to clean ones."""

    isos: tuple[int, ...] = ()
    """The ISO that noisy clips were taken at, one for all of them, absent to estimate their noise;
    or those whose noise clean and ordinary clips get."""

    exposure: Annotated[float, Gt(0), Le(1)] = 0.4
    """Of ordinary clips: the share of the sensor's range that white fills."""

    sensor: str | None = None
    """A shipped sensor or a TOML file; absent for `sensor.toml` in `path`."""

    test_path: str | None = None
    """A folder of the same form with the clips to judge on; absent for those of training."""


class RawClips(FileVideos):
    """Clips in folders: numbered TIFF, PNG or DNG frames, or ordinary pictures and films."""

    def __init__(self, settings: RawClipsConfig) -> None:
        self.settings = settings
        self._folder = Path(settings.path)
        sensor = settings.sensor or str(self._folder / "sensor.toml")
        self._sensor = load_sensor(sensor)
        self._isos = _isos(settings)
        folders = _places(self._folder, films=settings.frames == "ordinary")
        self._clips = list(product(folders, self._isos))

    def __len__(self) -> int:
        return len(self._clips)

    def pair(self, index: int, draw: int = 0) -> ClipPair:
        """One clip at one ISO; of captured clips there is one realisation."""
        folder, iso = self._clips[index]
        if self.settings.frames != "noisy":
            assert iso is not None
            return noised(self._clean(folder), iso, seed=draw * len(self) + index)
        inner = folder / NOISY if (folder / NOISY).is_dir() else folder
        noisy = open_folder(inner, self._sensor, content=Content.CAPTURED, iso=iso)
        if not (folder / TRUTH).is_dir():
            return captured(noisy)
        return captured(noisy, open_folder(folder / TRUTH, self._sensor, content=Content.CLEAN))

    def held_out(self) -> "RawClips | None":
        """The clips of `test_path`."""
        own = self.settings
        if own.test_path is None:
            return None
        sensor = own.sensor or str(self._folder / "sensor.toml")
        test = RawClipsConfig(
            path=own.test_path,
            frames=own.frames,
            isos=own.isos,
            exposure=own.exposure,
            sensor=sensor,
        )
        return RawClips(test)

    def _clean(self, folder: Path) -> RawClip:
        if self.settings.frames == "clean":
            return open_folder(folder, self._sensor, content=Content.CLEAN)
        return UnprocessedClip(_footage(folder), self._sensor, exposure=self.settings.exposure)

    def files(self) -> Iterator[OnDisk]:
        """Every noisy clip and truth."""
        for index in range(len(self)):
            pair = self.pair(index)
            yield from file_clips(pair.noisy, pair.truth)


def _isos(settings: RawClipsConfig) -> tuple[int | None, ...]:
    if settings.frames != "noisy" and not settings.isos:
        raise GraftworkError(
            f"data.isos: is empty, and {settings.frames} frames get noise; name the ISOs, as "
            "[1600, 6400]"
        )
    if settings.frames == "noisy" and len(settings.isos) > 1:
        raise GraftworkError(
            f"data.isos: {list(settings.isos)}: noisy clips were taken at one ISO; name that, and "
            "make a set for each"
        )
    return settings.isos or (None,)


def _places(path: Path, *, films: bool) -> list[Path]:
    """Where each clip is: a folder, or, if those count, a film."""
    if not path.is_dir():
        raise GraftworkError(f"{path}: no such folder; check data.path")
    kinds = FILMS if films else ()
    found = sorted(e for e in path.iterdir() if e.is_dir() or e.suffix.lower() in kinds)
    if not found:
        what = "film and no folder" if films else "folder"
        raise GraftworkError(f"{path}: holds no {what} of frames; make one for each clip")
    return found


@lru_cache(maxsize=8)  # a film's packets are looked at once, not at every step
def _footage(place: Path) -> Footage:
    if place.is_file():
        return FilmFile(place)
    return Pictures(find_frames(place, SUFFIXES), name=str(place))
