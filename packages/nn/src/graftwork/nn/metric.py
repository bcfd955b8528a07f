"""The contract of a metric, and what a metric may ask of an evaluation."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Evaluation(Protocol):
    """An adapted text-to-image backbone, asked for samples.

    Samples are drawn once for each (prompt, seed, adapted or frozen) and kept, so metrics
    that look at the same images share them.
    """

    subject_prompts: tuple[str, ...]
    """Prompts that name the subject by its trigger."""
    free_prompts: tuple[str, ...]
    """The same prompts without the trigger."""
    seeds: tuple[int, ...]

    @property
    def reference(self) -> Float[Tensor, "images 3 height width"]:
        """The images that the adapter was trained on, in 0..1."""

    def samples(
        self, prompts: Sequence[str], *, adapted: bool
    ) -> Float[Tensor, "samples 3 height width"]:
        """An image in 0..1 for every prompt and seed, prompt-major.

        Sample (p, s) of the adapted and of the frozen backbone start from the same noise.
        """

    def features(
        self, images: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images dims"] | None:
        """The backbone's own image features, or None when it has no extractor."""


class Metric(ABC):
    """A function from an evaluation to named numbers."""

    higher_is_better: ClassVar[bool] = True

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def __call__(self, evaluation: Any) -> Mapping[str, float]:
        """One or more named values; the first bears the metric's own name."""
