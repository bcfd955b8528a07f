"""Judging a denoiser: clips restored by the adapted and the frozen backbone, once for all."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save
from torch import Tensor

from graftwork.core import atomic
from graftwork.core.config import Ge, Gt, config
from graftwork.core.errors import GraftworkError
from graftwork.nn import frozen
from graftwork.nn.task import Evaluation, Sheets
from graftwork.raw.cropped import crop_pair, middle
from graftwork.raw.denoiser import RawDenoiser
from graftwork.raw.isp import NAME, render
from graftwork.raw.levels import normalise
from graftwork.raw.mosaic import pack
from graftwork.raw.noise_of import noise_of
from graftwork.raw.pair import ClipPair
from graftwork.raw.sensor import Sensor
from graftwork.raw.videos import RawVideos

_SHOWN = 6


@config
class Judging:
    """What is denoised to judge an adapter."""

    clips: Annotated[int, Ge(1)] | None = None
    """How many clips; absent for all that the data holds out."""

    frames: Annotated[int, Ge(1)] | None = 7
    """Frames of each clip, from its first on; absent for all."""

    crop: Annotated[int, Ge(32)] | None = None
    """Side in raw pixels of the square in the middle that is judged; absent for whole frames."""

    exposure: Annotated[float, Gt(0)] = 2.0
    """How many times brighter the pictures of the report are."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """One clip with what became of it; planes with black at 0 and white at 1."""

    name: str
    iso: int | None
    sensor: Sensor
    noisy: Float[Tensor, "time 4 height width"]
    truth: Float[Tensor, "time 4 height width"] | None
    restored: Float[Tensor, "time 4 height width"]


@runtime_checkable
class Restorations(Protocol):
    """What a metric may ask of an adapted denoiser."""

    def clips(self, *, adapted: bool) -> Sequence[Restored]:
        """Every clip that is judged, restored by the adapted or the frozen backbone."""


class RawEvaluation(Evaluation):
    """The `Restorations` of a backbone.

    What the frozen backbone makes is kept for the life of the object and, given a `cache` folder,
    on disk.
    """

    def __init__(
        self,
        backbone: RawDenoiser,
        data: RawVideos,
        settings: Judging,
        *,
        cache: Path | None = None,
    ) -> None:
        self.backbone, self.settings, self.cache = backbone, settings, cache
        self.data = data.held_out() or data
        count = min(len(self.data), settings.clips or len(self.data))
        self.pairs = [self._cut(self.data.pair(index)) for index in range(count)]
        self._restored: dict[bool, list[Tensor]] = {}
        self._planes: list[tuple[Tensor, Tensor | None]] = []

    def clips(self, *, adapted: bool) -> Sequence[Restored]:
        """Every clip that is judged."""
        if adapted not in self._restored:
            self._restored[adapted] = self._all() if adapted else self._frozen()
        self._planes = self._planes or [self._read(pair) for pair in self.pairs]
        return [
            Restored(
                name=pair.noisy.name,
                iso=pair.noisy.iso,
                sensor=pair.noisy.sensor,
                noisy=noisy,
                truth=truth,
                restored=restored,
            )
            for pair, (noisy, truth), restored in zip(
                self.pairs, self._planes, self._restored[adapted], strict=True
            )
        ]

    def forget(self) -> None:
        """Drop what the adapted backbone made."""
        self._restored.pop(True, None)

    def sheets(self) -> Sheets:
        """The middle frame of some clips: noisy, frozen, adapted, and the truth."""
        chosen = slice(0, None, max(1, len(self.pairs) // _SHOWN))
        before = self.clips(adapted=False)[chosen][:_SHOWN]
        after = self.clips(adapted=True)[chosen][:_SHOWN]
        names = [f"{clip.name}, ISO {clip.iso}" if clip.iso else clip.name for clip in before]
        return Sheets(
            frozen=self._strip([(clip.noisy, clip.restored) for clip in before], before),
            adapted=self._strip([(clip.restored, clip.truth) for clip in after], after),
            columns=2,
            rows={"Noisy, frozen, adapted, truth": names},
            note=(
                "From left to right: the noisy input, the frozen model, the adapted model, the "
                f"truth. Middle frames through {NAME}, {self.settings.exposure:g} times brighter."
            ),
            sample=("CLIP-FOLDER",),
        )

    def _strip(
        self, pairs: Sequence[tuple[Tensor, Tensor | None]], clips: Sequence[Restored]
    ) -> Float[Tensor, "samples 3 height width"]:
        pictures = []
        for pair, clip in zip(pairs, clips, strict=True):
            for planes in pair:
                shown = torch.zeros_like(clip.noisy) if planes is None else planes
                middle = shown[len(shown) // 2]
                pictures.append(
                    render(middle, clip.sensor.pattern, exposure=self.settings.exposure)
                )
        side = min(min(picture.shape[-2:]) for picture in pictures)
        return torch.stack([_centred(picture, side) for picture in pictures])

    def _all(self) -> list[Tensor]:
        frames = self.settings.frames
        return [
            torch.stack(
                [
                    frame.cpu()
                    for frame in self.backbone.denoise(
                        pair.noisy, noise_of(pair.noisy), count=_count(pair, frames)
                    )
                ]
            )
            for pair in self.pairs
        ]

    def _frozen(self) -> list[Tensor]:
        def make() -> list[Tensor]:
            with frozen(self.backbone.module):
                return self._all()

        if self.cache is None:
            return make()
        return _on_disk(self.cache / f"frozen-{self._key()}.safetensors", make)

    def _key(self) -> str:
        parts = (
            self.backbone.fingerprint(),
            repr(self.backbone.settings),
            repr(self.settings),
            self.data.hash(),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def _read(self, pair: ClipPair) -> tuple[Tensor, Tensor | None]:
        count, sensor = _count(pair, self.settings.frames), pair.noisy.sensor
        noisy, truth = (
            None
            if clip is None
            else normalise(pack(clip.frames(0, count), sensor.pattern), sensor, negatives="keep")
            for clip in (pair.noisy, pair.truth)
        )
        assert noisy is not None
        return noisy, truth

    def _cut(self, pair: ClipPair) -> ClipPair:
        side = self.settings.crop
        if side is None:
            return pair
        if side > min(pair.noisy.size):
            height, width = pair.noisy.size
            raise GraftworkError(
                f"evaluate.crop: {side} is more than the {height}x{width} pixels of "
                f"{pair.noisy.name}; make it smaller"
            )
        return crop_pair(pair, middle(pair.noisy.size, side))


def _count(pair: ClipPair, frames: int | None) -> int:
    return min(len(pair.noisy), frames or len(pair.noisy))


def _centred(picture: Tensor, side: int) -> Tensor:
    top, left = ((length - side) // 2 for length in picture.shape[-2:])
    return picture[:, top : top + side, left : left + side]


def _on_disk(path: Path, make: Callable[[], list[Tensor]]) -> list[Tensor]:
    if path.exists():
        kept = load_file(path)
        return [kept[f"{index:04d}"] for index in range(len(kept))]
    made = make()
    tensors = {f"{index:04d}": clip.contiguous() for index, clip in enumerate(made)}
    atomic.write_bytes(path, save(tensors))
    return made
