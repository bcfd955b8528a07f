"""The contract of an image classifier."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from graftwork.labels.images import TASK, Images
from graftwork.nn.backbone import Backbone


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What a backbone makes of some images; all on the CPU in float32."""

    kept: Int[Tensor, "examples"]
    """Which images these are; those that cannot be read are left out."""
    logits: Float[Tensor, "examples classes"]
    features: Float[Tensor, "examples dims"]
    """Z: what the classifier is given, after a head has changed it."""
    frozen_features: Float[Tensor, "examples frozen_dims"]
    """F: the pooled features of the frozen backbone."""


class ImageClassifier(Backbone):
    """A backbone that tells images apart; its steps are `LabelStep`s.

    Its last linear layer is a site for heads (`graftwork.labels.head`). Grafts act according to
    their weights; wrap a call in `frozen(module)` for the backbone alone.
    """

    task: ClassVar[str] = TASK

    @abstractmethod
    def head_sites(self) -> tuple[str, ...]:
        """The last linear layer, which heads take the place of."""

    @abstractmethod
    def predict(self, images: Images) -> Predicted:
        """Every image that can be read.

        Raises:
            GraftworkError: one cannot, and the images are not tolerant; or none can.
        """
