"""A whole text-to-image world in one small file, for tests of what drives plugins.

A pixel-space denoiser on 8x8 pictures with a bag-of-words text embedding, a data set of two
colours, one loss, one metric and one adapter, all registered like any other plugin. It trains
in milliseconds. `install` makes it discoverable in other processes.
"""

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from PIL import Image
from torch import Tensor, nn

from graftwork.core import hookimpl
from graftwork.core.config import Ge, Search, config
from graftwork.core.errors import GraftworkError
from graftwork.core.records import AdapterSpec, BackboneSpec, DatasetSpec, LossSpec, MetricSpec
from graftwork.nn import WeightAdapter, fingerprint, frozen
from graftwork.nn.denoising import DenoisingStep
from graftwork.nn.loss import Loss
from graftwork.nn.metric import Metric
from graftwork.nn.site import Site
from graftwork.nn.text_to_image import CaptionedImages, Pictures, TextToImage

_SIDE = 8


@config
class ToyAdapterConfig:
    """Settings of the toy adapter."""

    rank: Annotated[int, Ge(1), Search(1, 4)] = 2
    """Rank of the update."""


class ToyAdapter(WeightAdapter):
    """W + B A, the smallest adapter that learns."""

    def __init__(self, site: Site, config: ToyAdapterConfig) -> None:
        super().__init__(site)
        if config.rank > min(site.rows, site.cols):
            raise GraftworkError(f"rank: {config.rank} is above the size of '{site.name}'")
        self.down = nn.Parameter(torch.randn(config.rank, site.cols) / site.cols**0.5)
        self.up = nn.Parameter(torch.zeros(site.rows, config.rank))

    def effective(self, weight: Tensor) -> Tensor:
        """The sum, formed."""
        return weight + self.up @ self.down


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(64, 8)
        self.enter = nn.Conv2d(3, 8, 3, padding=1)
        self.middle = nn.Linear(8, 8)
        self.leave = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, noisy: Tensor, words: Tensor) -> Tensor:
        hidden = self.enter(noisy) + self.words(words).mean(1)[:, :, None, None]
        hidden = self.middle(torch.nn.functional.silu(hidden).movedim(1, -1)).movedim(-1, 1)
        out: Tensor = self.leave(hidden)
        return out


class ToyBackbone(TextToImage):
    """Predicts the noise of 8x8 pictures from a few words."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.module = _Net().requires_grad_(False).eval()

    def default_sites(self) -> tuple[str, ...]:
        """The linear layer and the convolutions."""
        return ("middle", "enter", "leave")

    def prepare(self, data: CaptionedImages) -> list[tuple[Tensor, str, str | None]]:
        """Pictures in -1..1 with their two captions."""
        return [
            (_pixels(data.image(i)) * 2 - 1, data.caption(i), data.caption_free(i))
            for i in range(len(data))
        ]

    def step(
        self,
        examples: Any,
        indices: Sequence[int],
        *,
        needs: frozenset[str],
        generator: torch.Generator,
    ) -> DenoisingStep:
        """One noised batch and the predictions asked for."""
        clean = torch.stack([examples[index][0] for index in indices])
        noise = torch.randn(clean.shape, generator=generator)
        alpha_bar = torch.rand(len(clean), generator=generator) * 0.9 + 0.05
        made = DenoisingStep(
            prediction_type="epsilon", clean=clean, noise=noise, alpha_bar=alpha_bar
        )
        found: dict[str, Any] = {}
        if "prediction" in needs:
            found["prediction"] = self._predict(made.noisy, [examples[i][1] for i in indices])
        if "free" in needs:
            free = [examples[index][2] or "" for index in indices]
            found["adapted_free"] = self._predict(made.noisy, free)
            with frozen(self.module), torch.no_grad():
                found["frozen_free"] = self._predict(made.noisy, free)
        return DenoisingStep(
            prediction_type="epsilon", clean=clean, noise=noise, alpha_bar=alpha_bar, **found
        )

    @torch.no_grad()
    def sample(self, prompts: Sequence[str], seeds: Sequence[int], **settings: Any) -> Tensor:
        """A few steps of denoising from each seed's own noise."""
        draws = [torch.Generator().manual_seed(seed) for seed in seeds]
        x = torch.stack([torch.randn(3, _SIDE, _SIDE, generator=draw) for draw in draws])
        for _ in range(settings.get("steps", 4)):
            x = x - 0.3 * self._predict(x, prompts)
        return (x / 2 + 0.5).clamp(0, 1)

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """The toy stays where it is, in float32."""

    def fingerprint(self) -> str:
        """Hash of the module."""
        return fingerprint(self.module)

    def features(self, images: Tensor) -> Tensor:
        """Colours on a 2x2 grid."""
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)

    def _predict(self, noisy: Tensor, captions: Sequence[str]) -> Tensor:
        rows = [[zlib.crc32(word.encode()) % 64 for word in c.split()[:4]] for c in captions]
        words = torch.tensor([(row + [0] * 4)[:4] for row in rows])
        out: Tensor = self.module(noisy, words)
        return out


@config
class ToyDataConfig:
    """Settings of the toy data."""

    images: Annotated[int, Ge(0)] = 4
    """How many pictures."""


class ToyData(CaptionedImages):
    """Reddish squares, captioned "a zed square"; "zed" is the trigger."""

    trigger = "zed"

    def __init__(self, settings: ToyDataConfig) -> None:
        self.settings = settings

    def __len__(self) -> int:
        return self.settings.images

    def image(self, index: int) -> Image.Image:
        """A square a little redder than the one before."""
        return Image.new("RGB", (_SIDE, _SIDE), (180 + 10 * index % 60, 40, 30))

    def caption(self, index: int) -> str:
        """The caption, trigger included."""
        return "a zed square"

    def caption_free(self, index: int) -> str:
        """The caption without the trigger."""
        return "a square"

    def check(self) -> None:
        """An empty set cannot be trained on."""
        if not len(self):
            raise GraftworkError("data.images: no picture; ask for at least 1")

    def hash(self) -> str:
        """Hash of the settings, which say all."""
        return hashlib.sha256(str(len(self)).encode()).hexdigest()


class ToyLoss(Loss):
    """Mean squared error of the predicted noise."""

    def __call__(self, step: DenoisingStep) -> Tensor:
        """The error of one step."""
        if step.prediction is None:
            raise GraftworkError("toy-denoising: the step has no prediction; see `needs`")
        return (step.prediction - step.target).square().mean()


class ToyPreserve(Loss):
    """Mean squared difference from the frozen prediction, without the trigger."""

    needs = frozenset({"free"})

    def __call__(self, step: DenoisingStep) -> Tensor:
        """The difference of one step."""
        if step.adapted_free is None or step.frozen_free is None:
            raise GraftworkError("toy-preserve: no captions without the trigger; set one in [data]")
        return (step.adapted_free - step.frozen_free.detach()).square().mean()


class ToyMetric(Metric):
    """How red the samples are, and how little the frozen ones changed."""

    def __call__(self, evaluation: Pictures) -> dict[str, float]:
        """`redness` and `kps`, both in 0..1."""
        samples = evaluation.samples(evaluation.subject_prompts, adapted=True)
        free = [
            evaluation.samples(evaluation.free_prompts, adapted=adapted)
            for adapted in (True, False)
        ]
        change = (free[0] - free[1]).abs().mean()
        return {"redness": float(samples[:, 0].mean()), "kps": float(1 - change)}


def _pixels(image: Image.Image) -> Tensor:
    values = torch.tensor(list(image.tobytes()), dtype=torch.float32)
    return values.view(image.height, image.width, 3).permute(2, 0, 1) / 255


_HERE = "graftwork.testing.toy"


@hookimpl
def adapters() -> Iterable[AdapterSpec]:
    """toy-lora."""
    yield AdapterSpec(
        name="toy-lora",
        target=f"{_HERE}:ToyAdapter",
        config=f"{_HERE}:ToyAdapterConfig",
        summary="the smallest adapter that learns",
        family="weight",
    )


@hookimpl
def backbones() -> Iterable[BackboneSpec]:
    """toy."""
    yield BackboneSpec(
        name="toy",
        target=f"{_HERE}:ToyBackbone",
        summary="an 8x8 pixel-space denoiser",
        task="text-to-image",
        default_loss="toy-denoising",
    )


@hookimpl
def datasets() -> Iterable[DatasetSpec]:
    """toy-squares."""
    yield DatasetSpec(
        name="toy-squares",
        target=f"{_HERE}:ToyData",
        config=f"{_HERE}:ToyDataConfig",
        summary="reddish squares",
        task="text-to-image",
    )


@hookimpl
def losses() -> Iterable[LossSpec]:
    """toy-denoising, toy-preserve."""
    yield LossSpec(name="toy-denoising", target=f"{_HERE}:ToyLoss", summary="noise error")
    yield LossSpec(name="toy-preserve", target=f"{_HERE}:ToyPreserve", summary="stay as you were")


@hookimpl
def metrics() -> Iterable[MetricSpec]:
    """redness."""
    yield MetricSpec(name="redness", target=f"{_HERE}:ToyMetric", summary="how red samples are")


def install(folder: Path) -> Path:
    """Write metadata into `folder` that makes this plugin discoverable where it is on the path.

    Returns the folder, to put on `sys.path` and in PYTHONPATH.
    """
    info = folder / "graftwork_toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: graftwork-toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[graftwork]\ntoy = {_HERE}\n")
    return folder
