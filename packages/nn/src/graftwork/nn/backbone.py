"""The contract of a backbone: the frozen model, and how to feed it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from graftwork.core.errors import GraftworkError


class Backbone(ABC):
    """A frozen model with the work around it: encode data and make a training step.

    What else it does belongs to its task (`graftwork.nn.text_to_image.TextToImage` draws).
    `module` holds every part that can be adapted, under the dotted names that site
    patterns match ("unet.down_blocks.0....", "text_encoder....").
    """

    task: ClassVar[str]
    branches: ClassVar[bool] = False
    """Whether steps and samples run the two branches of guidance apart where a graft acts on one
    of them alone (`graftwork.nn.branches`)."""
    module: nn.Module

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def default_sites(self) -> tuple[str, ...]:
        """Patterns of the sites that are usually adapted."""

    def token_sites(self) -> tuple[str, ...]:
        """Patterns of the embedding that learned words extend; empty where there is none.

        A backbone that names one reads prompts by `graftwork.nn.words.LearnedWords`, and its
        `module` is a `graftwork.nn.words.Reader`.
        """
        return ()

    def head_sites(self) -> tuple[str, ...]:
        """Patterns of the last linear layer, which heads take the place of; empty without one."""
        return ()

    def meet(self, data: Any) -> None:  # noqa: B027
        """Take on what depends on the data, such as its classes, before anything is grafted.

        Raises:
            GraftworkError: the data does not fit the backbone.
        """

    @abstractmethod
    def prepare(self, data: Any) -> Sized:
        """Encode a data set of the task once (latents, embeddings). Raises `GraftworkError`.

        Its length is how many examples can be trained on, which may be fewer than the data has.
        """

    def sizes(self, examples: Any) -> Sequence[int]:
        """How long each of the prepared examples is, in any unit; empty where all are alike.

        Examples of like length are then put into one batch, so that little is padded.
        """
        return ()

    @abstractmethod
    def step(
        self,
        examples: Any,
        indices: Sequence[int],
        *,
        needs: frozenset[str],
        generator: torch.Generator,
    ) -> Any:
        """The forward pass of one training step on `examples[indices]`.

        Every random draw comes from `generator`, so a step can be repeated bit for bit.
        `needs` is the union of what the losses ask for.
        """

    @abstractmethod
    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move the frozen parts; adapters keep their own dtype."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Hash of the architecture and weights, the identity that adapter files record."""

    def save(self, folder: Path) -> None:
        """Write the model as it is now, without grafts, to a folder that plain libraries load.

        Optional. Raises `GraftworkError` for a backbone that has no such form.
        """
        raise GraftworkError(
            f"{type(self).__name__} cannot be saved as a model of its own; keep the adapter beside "
            "the backbone"
        )
