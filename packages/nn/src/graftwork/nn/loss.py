"""The contract of a loss."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor


class Loss(ABC):
    """A function from what one training step holds to a scalar.

    `needs` names the optional fields of the step that this loss reads, so that a backbone
    computes no forward pass that nobody uses. A diffusion step (`DenoisingStep`) knows
    "prediction", "negative" and "free" (the pair `adapted_free`, `frozen_free`); a step of a
    raw-video denoiser "prediction" and "neighbours"; one of an image classifier "prediction" and
    "features".
    """

    needs: ClassVar[frozenset[str]] = frozenset({"prediction"})
    progress: float = 0.0
    """How much of the training is done, from 0 to 1; set before every call, for losses that
    change on the way."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def __call__(self, step: Any) -> Float[Tensor, ""]:
        """The loss of one step, averaged over its batch."""

    def state(self) -> Mapping[str, Tensor]:
        """What it has learned on the way, for checkpoints; nothing for most."""
        return {}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Go on from what `state` gave."""
