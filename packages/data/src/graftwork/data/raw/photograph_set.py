"""Raw clips of photographs, of other wheels or one's own, as a set to train and to judge on."""

import hashlib
import random
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.core.config import Ge, Gt, Le, config
from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean
from graftwork.data.folder import list_folder, no_images
from graftwork.data.raw.camera_path import camera_path
from graftwork.data.raw.photographs import PHOTOGRAPHS, load_photograph, load_srgb, photographs
from graftwork.data.raw.synthetic import SyntheticClip
from graftwork.data.raw.unprocessing import unprocess
from graftwork.raw.clip import MemoryClip
from graftwork.raw.content import Content
from graftwork.raw.levels import black_map
from graftwork.raw.mosaic import pack, unpack
from graftwork.raw.noised import NoisedClip
from graftwork.raw.pair import ClipPair, captured
from graftwork.raw.sensor import Sensor
from graftwork.raw.sensor_file import load_sensor
from graftwork.raw.videos import RawVideos

Share = Annotated[float, Gt(0), Le(1)]


@config
class RawPhotographsConfig:
    """Settings of raw clips of photographs."""

    split: Literal["train", "test"] = "train"
    """The photographs of training, judged on those of the test, or these alone."""

    path: str | None = None
    """A folder of your own photographs to take instead: PNG, JPEG, ..., each at least half as
    large again as `side`."""

    test_path: str | None = None
    """A folder of others to judge on; absent, with a `path`, for those of training."""

    photographs: tuple[str, ...] = ()
    """Names of some of them, of your own those of the files; absent for all."""

    places: Annotated[int, Ge(1)] = 2
    """Clips of each photograph, each with a camera path of its own; of the test there is one."""

    sensor: str = "crvd"
    """A shipped sensor or a TOML file."""

    isos: tuple[int, ...] = (1600, 3200, 6400, 12800, 25600)
    """The ISOs whose noise is added."""

    frames: Annotated[int, Ge(1)] = 7
    """Frames of each clip."""

    side: Annotated[int, Ge(32)] = 256
    """Rows and columns of a frame in raw pixels; even."""

    exposure: tuple[Share, Share] = (0.15, 1.0)
    """From which to which share of the sensor's range white fills; drawn anew for each example."""

    test_exposure: Share = 0.4
    """The share in the test."""

    response: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    """What each plane (R, G, B, G) is multiplied with: another sensor's colours."""

    black_error: float = 0.0
    """DN by which the sensor's true black level lies above the one that it is described with."""


class RawPhotographs(RawVideos):
    """Photographs unprocessed to raw, filmed by a moving camera, with noise added.

    They are in the wheels of scikit-image and scikit-learn, which the extra `raw` brings, or in a
    folder of your own. Figures on them compare with no published ones.
    """

    def __init__(self, settings: RawPhotographsConfig) -> None:
        self.settings = settings
        self._sensor = load_sensor(settings.sensor)
        for iso in settings.isos:
            self._sensor.noise(iso)
        if not settings.isos:
            raise GraftworkError("data.isos: is empty; name at least one ISO of the sensor")
        if len(settings.response) != 4 or min(settings.response) <= 0:
            raise GraftworkError("data.response: give four factors above 0, of R, G, B, G")
        if settings.exposure[0] > settings.exposure[1]:
            raise GraftworkError("data.exposure: the first share is the larger; exchange them")
        if settings.side % 2:
            raise GraftworkError(f"data.side: {settings.side} is odd; a mosaic has even sides")
        black, white = self._sensor.black, self._sensor.white_level
        if not 0 <= min(black) + settings.black_error <= max(black) + settings.black_error < white:
            raise GraftworkError(
                f"data.black_error: {settings.black_error:g} takes the black level of "
                f"{max(black):g} out of 0..{white:g}; choose a smaller error"
            )
        self._pictures = _pictures(settings)
        names = settings.photographs or tuple(self._pictures)
        for name in names:
            if name not in self._pictures:
                raise GraftworkError(
                    f"data.photographs: {name!r}: unknown{did_you_mean(name, self._pictures)}"
                )
        places = range(settings.places if settings.split == "train" else 1)
        self._clips = list(product(names, places, settings.isos))
        self._full = lru_cache(maxsize=None)(self._make)

    def __len__(self) -> int:
        return len(self._clips)

    def pair(self, index: int, draw: int = 0) -> ClipPair:
        """One photograph at one ISO; each `draw` has its own noise and, in training, exposure."""
        name, place, iso = self._clips[index]
        own, sensor = self.settings, self._sensor
        low, high = own.exposure
        chance = random.Random(f"{index}/{draw}")
        share = chance.uniform(low, high) if own.split == "train" else own.test_exposure
        true = self._true_sensor()
        clean = self._clip(self._full(name, place) * share, true, name)
        noise = sensor.noise(iso)
        noisy = NoisedClip(clean, noise, seed=chance.getrandbits(32))
        if not own.black_error:
            return ClipPair(noisy=noisy, truth=clean)
        # Captured by a sensor whose black is not where its description says.
        frames = noisy.frames(0, len(noisy))
        seen = MemoryClip(frames, sensor, content=Content.CAPTURED, iso=iso, name=noisy.name)
        return captured(seen, self._clip(self._full(name, place) * share, sensor, name))

    def held_out(self) -> "RawPhotographs | None":
        """The photographs of the test."""
        own = self.settings
        if own.split == "test" or (own.path and not own.test_path):
            return None
        test = RawPhotographsConfig(
            split="test",
            path=own.test_path,
            sensor=own.sensor,
            isos=own.isos,
            frames=own.frames,
            side=own.side,
            test_exposure=own.test_exposure,
            response=own.response,
            black_error=own.black_error,
        )
        return RawPhotographs(test)

    def check(self) -> None:
        """Read every photograph once."""
        for name in dict.fromkeys(name for name, _, _ in self._clips):
            self._pictures[name]()

    def hash(self) -> str:
        """Hash of the photographs and of the settings."""
        digest = hashlib.sha256(f"{self.settings} {self._sensor}".encode())
        for name in dict.fromkeys(name for name, _, _ in self._clips):
            digest.update(self._pictures[name]().numpy().tobytes())
        return digest.hexdigest()

    def _true_sensor(self) -> Sensor:
        own, error = self._sensor, self.settings.black_error
        if not error:
            return own
        black = tuple(level + error for level in own.black)
        return Sensor(
            name=own.name,
            pattern=own.pattern,
            black_level=(black[0], black[1], black[2], black[3]),
            white_level=own.white_level,
            bit_depth=own.bit_depth,
            calibration=own.calibration,
        )

    def _make(self, name: str, place: int) -> Float[Tensor, "time height width"]:
        """Light in 0..1 at full exposure, in the sensor's own colours."""
        own, sensor = self.settings, self._sensor
        chance = random.Random(f"{name}/{place}")
        spot = (chance.random(), chance.random()) if place else (0.5, 0.5)
        clip = SyntheticClip(
            unprocess(self._pictures[name]()),
            path=camera_path(own.frames, seed=chance.getrandbits(32)),
            size=(own.side, own.side),
            sensor=sensor,
            exposure=1.0,
            name=name,
            place=spot,
        )
        black = black_map(sensor, own.side, own.side).float()
        light = (clip.frames(0, own.frames) - black) / (sensor.white_level - black)
        response = torch.tensor(own.response)[:, None, None]
        return unpack(pack(light, sensor.pattern) * response, sensor.pattern).clamp(max=1)

    def _clip(self, light: Tensor, sensor: Sensor, name: str) -> MemoryClip:
        black = black_map(sensor, *light.shape[-2:]).float()
        mosaics = black + light * (sensor.white_level - black)
        return MemoryClip(mosaics, sensor, content=Content.CLEAN, name=name)


def _pictures(settings: RawPhotographsConfig) -> Mapping[str, Callable[[], Tensor]]:
    """How each photograph is read, by name."""
    if settings.test_path and not settings.path:
        raise GraftworkError("data.test_path: stands alone; give data.path too, or leave both out")
    if settings.path is None:
        # Some may be named that are of the other side of the split.
        of = PHOTOGRAPHS if settings.photographs else photographs(settings.split)
        return {one.name: partial(load_photograph, one.name) for one in of}
    folder = Path(settings.path)
    listing = list_folder(folder)
    if not listing.images:
        raise no_images(folder, listing)
    return {path.name: partial(load_srgb, path) for path in listing.images}
