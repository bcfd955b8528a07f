"""A data set as the UNet sees it, and the random numbers of a step on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Latents and texts of a data set, in float32 on the CPU.

    Every text is kept once; row 0 is the empty caption.
    """

    mean: Float[Tensor, "n c h w"]
    """Mean of each image's latent distribution."""
    deviation: Float[Tensor, "n c h w"]
    """Its standard deviation."""
    embeddings: Float[Tensor, "texts tokens dims"]
    """What the frozen text encoder makes of all texts."""
    captions: Int[Tensor, "n"]
    """The row of each image's caption."""
    free: Int[Tensor, "n"] | None = None
    """The row of each caption without its trigger; None when the data has no trigger."""
    weight: Float[Tensor, "n 1 h w"] | None = None
    """How much each place of an image counts in the loss; None for everywhere once."""
    texts: tuple[str, ...] = ()
    """The texts themselves, which a graft on the text encoder reads anew in every step."""

    def __len__(self) -> int:
        return len(self.mean)

    def spelled(self, rows: Int[Tensor, "b"]) -> list[str]:
        """The texts of rows."""
        return [self.texts[row] for row in rows.tolist()]

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, for a file."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """`tensors` undone, without texts. Raises `TypeError` for a missing or unknown name."""
        named: dict[str, Any] = dict(tensors)
        return cls(**named)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Every random number of one training step."""

    latent: Float[Tensor, "b c h w"]
    """Where in its distribution each latent is taken."""
    noise: Float[Tensor, "b c h w"]
    """What is added to it."""
    timesteps: Int[Tensor, "b"]
    """How much, uniform over the schedule."""
    dropped: Bool[Tensor, "b"]
    """Whose caption is left empty."""

    @classmethod
    def from_generator(
        cls,
        examples: Examples,
        indices: Sequence[int],
        *,
        timesteps: int,
        caption_dropout: float,
        generator: torch.Generator,
    ) -> Self:
        """Draw on the generator's device in float32: the same numbers wherever the model is.

        The number of draws depends on the batch alone, so runs that differ in their losses or
        settings see the same noise.
        """
        batch, device = len(indices), generator.device
        shape = (batch, *examples.mean.shape[1:])
        return cls(
            latent=torch.randn(shape, generator=generator, device=device),
            noise=torch.randn(shape, generator=generator, device=device),
            timesteps=torch.randint(timesteps, (batch,), generator=generator, device=device),
            dropped=torch.rand(batch, generator=generator, device=device) < caption_dropout,
        )
