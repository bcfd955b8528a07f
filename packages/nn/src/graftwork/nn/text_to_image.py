"""The contracts of text-to-image: its data, its backbones, and what a metric may ask."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from graftwork.nn.backbone import Backbone
from graftwork.nn.dataset import Dataset

if TYPE_CHECKING:
    from PIL.Image import Image

TASK = "text-to-image"


class CaptionedImages(Dataset):
    """Images with captions.

    A caption holds the trigger ("a photo of sks cat"); `caption_free` is the caption without it.
    """

    task: ClassVar[str] = TASK

    @abstractmethod
    def image(self, index: int) -> "Image":
        """The RGB image number `index`."""

    @abstractmethod
    def caption(self, index: int) -> str:
        """The caption of image `index`, trigger included."""

    @abstractmethod
    def caption_free(self, index: int) -> str | None:
        """The same caption without the trigger; None when the set has no trigger."""

    def mask(self, index: int) -> "Image | None":
        """A grey image of the size of image `index` that says how much each place counts in the
        loss: 0 not at all, 127 once, 255 five times. None for everywhere once."""
        return None

    def captions(self) -> Sequence[str]:
        """All captions in order."""
        return [self.caption(index) for index in range(len(self))]


class TextToImage(Backbone):
    """A backbone that draws pictures from prompts; its steps are `DenoisingStep`s."""

    task: ClassVar[str] = TASK

    @abstractmethod
    def sample(
        self, prompts: Sequence[str], seeds: Sequence[int], **settings: Any
    ) -> Float[Tensor, "samples 3 height width"]:
        """Images in 0..1, one for each pair of `prompts` and `seeds` (equal lengths).

        Grafts act according to their weights; wrap the call in `frozen(module)` for the
        backbone alone. An image depends on its own prompt and seed only.
        """

    def features(
        self, images: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images dims"] | None:
        """Features of images in 0..1 by the backbone's own extractor, if it has one."""
        return None


@runtime_checkable
class Pictures(Protocol):
    """What a metric may ask of an adapted text-to-image backbone.

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
