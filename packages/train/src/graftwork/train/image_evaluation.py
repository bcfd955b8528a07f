"""Samples of the adapted and the frozen backbone, drawn once and shared by all metrics."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save
from torch import Tensor

from graftwork.core import atomic
from graftwork.core.config import Ge, config
from graftwork.core.errors import GraftworkError
from graftwork.nn import frozen
from graftwork.nn.task import Evaluation, Sheets
from graftwork.nn.text_to_image import CaptionedImages, TextToImage
from graftwork.nn.trigger import has_trigger, without_trigger
from graftwork.train.pictures import to_tensor


@config
class Judging:
    """What is sampled to judge an adapter."""

    prompts: tuple[str, ...] = ()
    """Prompts with the trigger; absent takes the captions of the data."""

    preserve: tuple[str, ...] = ()
    """Further prompts whose pictures should not change."""

    seeds: Annotated[int, Ge(1)] = 4
    """Pictures for each prompt, from the seeds 0, 1, 2, ..."""

    steps: Annotated[int, Ge(1)] = 20
    """Sampling steps."""

    guidance: Annotated[float, Ge(0)] = 5.0
    """Scale of classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598)."""


class ImageEvaluation(Evaluation):
    """The `graftwork.nn.text_to_image.Pictures` of a backbone.

    Pictures of the frozen backbone are kept for the life of the object and, given a `cache`
    folder, on disk; call `forget` when the adapter has changed.
    """

    def __init__(
        self,
        backbone: TextToImage,
        data: CaptionedImages,
        settings: Judging,
        *,
        cache: Path | None = None,
    ) -> None:
        self.backbone = backbone
        self.data = data
        self.settings = settings
        self.cache = cache
        self.seeds = tuple(range(settings.seeds))
        self.subject_prompts = settings.prompts or tuple(dict.fromkeys(data.captions()))
        self.free_prompts = (*self._without_trigger(), *settings.preserve)
        self._samples: dict[tuple[str, bool], Tensor] = {}
        self._fingerprint = ""

    @property
    def reference(self) -> Float[Tensor, "images 3 height width"]:
        """The training images at the size of the samples, in 0..1."""
        if not hasattr(self, "_reference"):
            height, width = self.samples(self.subject_prompts[:1], adapted=False).shape[-2:]
            images = [self.data.image(index) for index in range(len(self.data))]
            self._reference = torch.stack([to_tensor(image, (width, height)) for image in images])
        return self._reference

    def samples(
        self, prompts: Sequence[str], *, adapted: bool
    ) -> Float[Tensor, "samples 3 height width"]:
        """A picture in 0..1 for every prompt and seed, prompt-major."""
        missing = [p for p in dict.fromkeys(prompts) if (p, adapted) not in self._samples]
        if missing:
            drawn = self._draw(missing) if adapted else self._cached(missing)
            for prompt, pictures in zip(missing, drawn.split(len(self.seeds)), strict=True):
                self._samples[prompt, adapted] = pictures
        return torch.cat([self._samples[prompt, adapted] for prompt in prompts])

    def features(
        self, images: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images dims"] | None:
        """The backbone's own image features."""
        return self.backbone.features(images)

    def forget(self) -> None:
        """Drop the adapted pictures: the adapter has changed."""
        self._samples = {key: value for key, value in self._samples.items() if not key[1]}

    def sheets(self) -> Sheets:
        """A row for each prompt, a column for each seed."""
        prompts = (*self.subject_prompts, *self.free_prompts)
        frozen, adapted = (self.samples(prompts, adapted=which) for which in (False, True))
        return Sheets(
            frozen=frozen,
            adapted=adapted,
            columns=len(self.seeds),
            rows={
                "With the trigger: these should become the subject": self.subject_prompts,
                "Without it: these should stay as they were": self.free_prompts,
            },
            note=(
                "Left and right start from the same noise, column by column. Nothing was picked: "
                "these are the first seeds."
            ),
            reference=self.reference,
            reference_title="The subject",
            sample=("--prompt", self.subject_prompts[0]),
        )

    def _draw(self, prompts: Sequence[str]) -> Tensor:
        pairs = [(prompt, seed) for prompt in prompts for seed in self.seeds]
        return self.backbone.sample(
            [prompt for prompt, _ in pairs],
            [seed for _, seed in pairs],
            steps=self.settings.steps,
            guidance=self.settings.guidance,
        ).cpu()

    def _cached(self, prompts: Sequence[str]) -> Tensor:
        def draw() -> Tensor:
            with frozen(self.backbone.module):
                return self._draw(prompts)

        if self.cache is None:
            return draw()
        return _on_disk(self.cache / f"frozen-{self._key(prompts)}.safetensors", draw)

    def _key(self, prompts: Sequence[str]) -> str:
        self._fingerprint = self._fingerprint or self.backbone.fingerprint()
        settings = (self.settings.steps, self.settings.guidance, self.seeds)
        backbone = (self._fingerprint, repr(self.backbone.settings))
        text = repr((backbone, settings, tuple(prompts)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _without_trigger(self) -> tuple[str, ...]:
        trigger = self.data.trigger
        if trigger is None:
            return ()
        for prompt in self.subject_prompts:
            if not has_trigger(prompt, trigger):
                raise GraftworkError(
                    f"evaluate.prompts: '{prompt}' lacks the trigger '{trigger}'; "
                    "put it in, or move the prompt to evaluate.preserve"
                )
        free = (without_trigger(prompt, trigger) for prompt in self.subject_prompts)
        return tuple(dict.fromkeys(free))


def _on_disk(path: Path, draw: Callable[[], Tensor]) -> Tensor:
    if path.exists():
        return load_file(path)["samples"]
    samples = draw()
    atomic.write_bytes(path, save({"samples": samples.contiguous()}))
    return samples
