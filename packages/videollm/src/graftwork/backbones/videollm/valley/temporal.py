"""A clip's patches as those of one frame: Y from X[t, i], frames t = 1..T and patches i = 1..P.

    T-v1 mean         Y[i] = (1/T) sum_t X[t, i]
    max               Y[i] = max_t X[t, i]
    T-v2 importance   Y[i] = sum_t a_t X[t, i],  a = softmax_t(w . vec(X[t]) + b)
    T-v3 delta        Y[i] = Enc(X[1, i] + p_1, ..., X[T, i] + p_T)_T + (1/T) sum_t X[t, i]

Luo et al. 2023, arXiv:2306.07207, section 3.1 (T-v1); T-v2 and T-v3 are of the released model. All
but T-v3 are blind to the order of frames.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.core.errors import GraftworkError

Frames = Float[Tensor, "batch time patches width"]
Pooled = Float[Tensor, "batch patches width"]


class MeanPooling(nn.Module):
    """T-v1: the mean over time."""

    order_blind: ClassVar[bool] = True

    def forward(self, frames: Frames) -> Pooled:
        """Y of X."""
        return frames.mean(1)


class MaxPooling(nn.Module):
    """The maximum over time, for each number by itself."""

    order_blind: ClassVar[bool] = True

    def forward(self, frames: Frames) -> Pooled:
        """Y of X."""
        return frames.amax(1)


class ImportancePooling(nn.Module):
    """T-v2: a mean that weighs each frame by what is in it, never by where it stands."""

    order_blind: ClassVar[bool] = True

    def __init__(self, patches: int, width: int) -> None:
        super().__init__()
        self.patches = patches
        self.score = nn.Linear(patches * width, 1)

    def forward(self, frames: Frames) -> Pooled:
        """Y of X.

        Raises:
            GraftworkError: a frame has another number of patches than this was built for.
        """
        if frames.shape[2] != self.patches:
            raise GraftworkError(
                f"temporal 'importance': frames of {frames.shape[2]} patches where its weights are "
                f"for {self.patches}; use images of the size that the tower was configured with"
            )
        exact = torch.promote_types(frames.dtype, torch.float32)
        weights = self.score(frames.flatten(2)).softmax(1, dtype=exact)
        return torch.einsum("bto,btpd->bpd", weights.to(frames.dtype), frames)


class DeltaTransformer(nn.Module):
    """T-v3: what one encoder layer over time reads at the last frame, added to the mean.

    The layer is post-norm with ReLU, without a causal mask. Only its last row is read, so only
    that is computed: keys and values of all frames, the rest of the last one. The sequences of all
    patches go through one call of attention. Positions are a sinusoid that no file holds.
    """

    order_blind: ClassVar[bool] = False

    def __init__(
        self, width: int, *, heads: int, intermediate_size: int, dropout: float, norm_eps: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        self.linear1 = nn.Linear(width, intermediate_size)
        self.linear2 = nn.Linear(intermediate_size, width)
        self.norm1 = nn.LayerNorm(width, eps=norm_eps)
        self.norm2 = nn.LayerNorm(width, eps=norm_eps)

    def forward(self, frames: Frames) -> Pooled:
        """Y of X."""
        batch, time, _, width = frames.shape
        positions = sinusoid(time, width, dtype=frames.dtype, device=frames.device)
        placed = (frames + positions[:, None]).transpose(1, 2).flatten(0, 1)
        hidden = placed[:, -1]
        hidden = self.norm1(hidden + self._drop(self._attend(hidden, placed)))
        hidden = self.norm2(hidden + self._drop(self._feed_forward(hidden)))
        return hidden.unflatten(0, (batch, -1)) + frames.mean(1)

    def _attend(
        self, last: Float[Tensor, "sequences width"], placed: Float[Tensor, "sequences time width"]
    ) -> Float[Tensor, "sequences width"]:
        """Attention of the last frame to all."""
        query = self.query(last).unflatten(1, (self.heads, 1, -1))
        both = self.key_value(placed).unflatten(2, (2, self.heads, -1))
        key, value = both.permute(2, 0, 3, 1, 4)  # each (sequences, heads, time, width / heads)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return self.output(mixed.flatten(1))

    def _feed_forward(
        self, hidden: Float[Tensor, "sequences width"]
    ) -> Float[Tensor, "sequences width"]:
        return self.linear2(self._drop(F.relu(self.linear1(hidden))))

    def _drop(self, hidden: Float[Tensor, "sequences any"]) -> Float[Tensor, "sequences any"]:
        return F.dropout(hidden, self.dropout, self.training)


def sinusoid(
    time: int, width: int, *, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "{time} {width}"]:
    """p[k, 2i] = sin(k / 10000^(2i / width)) and p[k, 2i + 1] = cos(same), for k = 0..time - 1."""
    exact = torch.promote_types(dtype, torch.float32)
    rates = 10000 ** (-torch.arange(0, width, 2, dtype=exact, device=device) / width)
    angles = torch.arange(time, dtype=exact, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1).to(dtype)


def temporal_module(config: ValleyConfig) -> nn.Module:
    """The module that a configuration asks for, in the decoder's width."""
    width: int = config.text_config.hidden_size  # type: ignore[union-attr]
    if config.temporal == "importance":
        return ImportancePooling(config.patches, width)
    if config.temporal == "delta":
        return DeltaTransformer(
            width,
            heads=config.delta_heads,
            intermediate_size=config.delta_intermediate_size,
            dropout=config.delta_dropout,
            norm_eps=config.delta_norm_eps,
        )
    return MaxPooling() if config.temporal == "max" else MeanPooling()
