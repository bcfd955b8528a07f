"""An evaluation without a model, for metrics to look at."""

import zlib
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Outcome = Literal["ordinary", "unchanged", "reproduced"]


class ToyEvaluation:
    """Coloured patterns instead of samples: smooth, in 0..1, one for each prompt and seed.

    "ordinary": the adapter changes every sample a little. "unchanged": it changes none.
    "reproduced": samples with the trigger are the reference images.
    """

    subject_prompts: tuple[str, ...] = ("a photo of sks cat", "a drawing of sks cat")
    free_prompts: tuple[str, ...] = ("a photo of cat", "a drawing of cat")
    seeds: tuple[int, ...] = (0, 1, 2)

    def __init__(
        self, outcome: Outcome = "ordinary", *, features: bool = True, size: int = 32
    ) -> None:
        self.outcome = outcome
        self.has_features = features
        self.size = size

    @property
    def reference(self) -> Float[Tensor, "images 3 height width"]:
        """Four images of the subject."""
        return torch.stack([self._pattern(f"reference {index}") for index in range(4)])

    def samples(
        self, prompts: Sequence[str], *, adapted: bool
    ) -> Float[Tensor, "samples 3 height width"]:
        """A pattern for every prompt and seed, prompt-major."""
        pairs = [(prompt, seed) for prompt in prompts for seed in self.seeds]
        if adapted and self.outcome == "reproduced" and set(prompts) & set(self.subject_prompts):
            return self.reference[torch.arange(len(pairs)) % 4]
        frozen = torch.stack([self._pattern(f"{prompt}/{seed}") for prompt, seed in pairs])
        if not adapted or self.outcome == "unchanged":
            return frozen
        change = torch.stack([self._pattern(f"{prompt}+{seed}") for prompt, seed in pairs])
        return 0.8 * frozen + 0.2 * change

    def features(
        self, images: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images dims"] | None:
        """Mean colours on a 4 x 4 grid, or None."""
        if not self.has_features:
            return None
        return torch.nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)

    def _pattern(self, key: str) -> Float[Tensor, "3 height width"]:
        generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
        coarse = torch.rand(1, 3, 4, 4, generator=generator)
        shape = (self.size, self.size)
        return torch.nn.functional.interpolate(coarse, shape, mode="bilinear")[0]
