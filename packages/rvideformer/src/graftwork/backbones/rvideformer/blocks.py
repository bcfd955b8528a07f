"""One transformer block, x + Attention(LN(x)) then x + MLP(LN(x)), and the layers around blocks."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from graftwork.backbones.rvideformer.attention import MultiBranchAttention
from graftwork.backbones.rvideformer.caching import cached
from graftwork.backbones.rvideformer.config import Form, RViDeformerConfig
from graftwork.backbones.rvideformer.precision import WideLayerNorm
from graftwork.backbones.rvideformer.shapes import Map, OtherMap
from graftwork.backbones.rvideformer.windows import geometry

# Frames in the window of a temporal block: the two that attend to each other.
PAIR = 2
EXPANSION = 2


class Block(nn.Module):
    """A temporal block (two frames, mutual attention) or a spatial one (all frames of a window)."""

    def __init__(
        self,
        width: int,
        config: RViDeformerConfig,
        *,
        scale: int,
        temporal: bool,
        shifted: bool,
        drop: float,
    ) -> None:
        super().__init__()
        self.window = (PAIR, *config.window[1:]) if temporal else config.window
        self.temporal, self.drop = temporal, drop
        self.cut = partial(
            geometry, shifted=shifted, mode=config.branch(scale), padding=config.padding
        )
        self.norm1 = WideLayerNorm(width)
        self.attn = MultiBranchAttention(width, config.heads, self.window, mutual=temporal)
        self.norm2 = WideLayerNorm(width)
        self.mlp = MLP(width, config.form)

    def forward(self, x: Map) -> Map:
        """The map after attention and MLP."""
        frames, rows, cols = x.shape[1:4]
        # A clip shorter than the window has windows of its own length; a pair stays a pair.
        window = self.window if self.temporal else (min(frames, self.window[0]), *self.window[1:])
        cut = self.cut((frames, rows, cols), window=window)
        x = x + self._drop_path(self.attn(self.norm1(x), cut))
        return x + self._drop_path(self.mlp(self.norm2(x)))

    def _drop_path(self, x: Map) -> Map:
        """Leave a sample out of this branch at random, and make up for it in the others."""
        if not self.training or not self.drop:
            return x
        kept = torch.empty(len(x), 1, 1, 1, 1, device=x.device).bernoulli_(1 - self.drop)
        return x * (kept / (1 - self.drop)).to(x.dtype)


class MLP(nn.Module):
    """fc2(GELU(fc11 x + fc12 x)) in training, fc2(GELU(fc1 x)) merged."""

    fc1: nn.Linear
    fc11: nn.Linear
    fc12: nn.Linear

    def __init__(self, width: int, form: Form) -> None:
        super().__init__()
        names = ("fc1",) if form == "merged" else ("fc11", "fc12")
        for name in names:
            setattr(self, name, nn.Linear(width, EXPANSION * width))
        self.doubled = form == "training"
        self.fc2 = nn.Linear(EXPANSION * width, width)

    def forward(self, x: Map) -> Map:
        """Each token's features."""
        x = x.to(self.fc2.bias.dtype)
        hidden = self.fc11(x) + self.fc12(x) if self.doubled else self.fc1(x)
        return self.fc2(F.gelu(hidden))


class RepConv(nn.Module):
    """A linear layer and a 3x3 convolution of each frame; merged, one convolution.

    The convolution pads with zeros after the linear layer has added its bias, so at a map's edge
    that bias is missing. `edge` puts it right in the merged form: what to add at the first,
    inner and last row, by first, inner and last column (see `merging`).
    """

    edge: Tensor

    def __init__(self, width: int, form: Form) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width) if form == "training" else None
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        if form == "merged":
            self.register_buffer("edge", torch.zeros(width, 3, 3))

    def forward(self, x: Map) -> Map:
        """Each frame's features."""
        x = x.to(self.conv.bias.dtype)  # type: ignore[union-attr]
        x = x if self.linear is None else self.linear(x)
        y = per_frame(self.conv, x)
        return y if self.linear is not None else y + self._border(*y.shape[2:4])

    def _border(self, rows: int, cols: int) -> Float[Tensor, "rows columns channels"]:
        row, col = (_place(n, self.edge.device) for n in (rows, cols))
        return self.edge[:, row][:, :, col].permute(1, 2, 0)


@cached
def _place(length: int, device: torch.device) -> Tensor:
    """0 for the first row or column, 2 for the last, 1 between."""
    return torch.tensor([0, *[1] * (length - 2), 2], device=device)


def per_frame(conv: nn.Module, x: Map) -> OtherMap:
    """A 2-D convolution of each frame of a map, whose channels stay last in memory."""
    planes = x.flatten(0, 1).permute(0, 3, 1, 2)
    return conv(planes).permute(0, 2, 3, 1).unflatten(0, x.shape[:2])
