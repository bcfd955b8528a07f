"""RViDeformer: seven stages of a U, then refinement at full resolution (arXiv:2305.00767).

f = conv_first(x)
s1, ..., s7 = stages at scales 1, 2, 4, 8, 4, 2, 1, with s3 and s2 added on the way up
y = x + conv_last(exit(refine(s7 + s1)) + f)
"""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from graftwork.backbones.rvideformer.blocks import Block, RepConv, per_frame
from graftwork.backbones.rvideformer.config import SCALES, RViDeformerConfig
from graftwork.backbones.rvideformer.precision import WideConv2d, WideLayerNorm, WideLinear
from graftwork.backbones.rvideformer.reflecting import padded
from graftwork.backbones.rvideformer.shapes import Clip, Map, OtherMap
from graftwork.core.errors import GraftworkError

PLANES = 4  # R, G of the red rows, B, G of the blue rows
COARSEST = max(SCALES)


class Group(nn.Module):
    """Blocks of one kind and a RepConv, with a skip around them; without blocks, the RepConv."""

    def __init__(
        self,
        width: int,
        config: RViDeformerConfig,
        *,
        scale: int,
        drops: list[float],
        temporal: bool = False,
    ) -> None:
        super().__init__()
        self.checkpointing = False
        self.blocks = nn.ModuleList(
            Block(width, config, scale=scale, temporal=temporal, shifted=bool(i % 2), drop=drop)
            for i, drop in enumerate(drops)
        )
        self.conv = RepConv(width, config.form)

    def forward(self, x: Map) -> Map:
        """The map after all blocks, the convolution and the skip."""
        y = x
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                y = checkpoint(block, y, use_reentrant=False)
            else:
                y = block(y)
        return x + self.conv(y)


class Resize(nn.Module):
    """To another scale and width: space to depth (or back), LayerNorm, Linear.

    The four tokens of a square lie one after the other in the channels, column offset before row
    offset. `factor` is 2 for down, 1/2 for up, 1 for neither.
    """

    def __init__(self, width: int, out: int, factor: float = 1, *, linear: bool = True) -> None:
        super().__init__()
        features = int(width * factor**2)
        self.factor = factor
        self.norm = WideLayerNorm(features)
        self.linear = WideLinear(features, out) if linear else None

    def forward(self, x: Map) -> OtherMap:
        """The map at its new size, in the dtype of its residual stream."""
        if self.factor == 2:
            x = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
            x = x.permute(0, 1, 2, 4, 5, 3, 6).flatten(4)
        elif self.factor != 1:
            x = x.unflatten(4, (2, 2, -1))
            x = x.permute(0, 1, 2, 5, 3, 4, 6).flatten(4, 5).flatten(2, 3)
        y = self.norm(x)
        return y if self.linear is None else self.linear(y).to(y.dtype)


class Stage(nn.Module):
    """One stage of the U: temporal blocks, then spatial ones."""

    def __init__(self, config: RViDeformerConfig, stage: int, drops: list[float]) -> None:
        super().__init__()
        scale, width = SCALES[stage], config.width
        before = SCALES[stage - 1] if stage else scale
        temporal = config.temporal(stage)
        self.resize = Resize(width, width, scale / before, linear=stage > 0)
        # The chances of the spatial group begin where those of the temporal one did.
        self.temporal = Group(width, config, scale=scale, drops=drops[:temporal], temporal=True)
        self.spatial = Group(width, config, scale=scale, drops=drops[: len(drops) - temporal])

    def forward(self, x: Map) -> OtherMap:
        """The map at this stage's scale."""
        return self.spatial(self.temporal(self.resize(x)))


class RViDeformer(nn.Module):
    """The denoiser: clips of packed Bayer frames in and out, of any length and size.

    Frames have four planes: R, G of the red rows, B, G of the blue rows, in 0..1 with black at 0.
    Frames that are no multiple of eight or smaller than 64 (with the published windows) are
    padded by reflection at the bottom and right, and cropped again. Sent to bfloat16 or float16, a
    model keeps its residual stream, norms, first and last convolution in float32.
    """

    def __init__(self, config: RViDeformerConfig) -> None:
        super().__init__()
        self.config = config
        width, fine = config.width, config.refinement_width
        drops = _drops(config)
        self.conv_first = WideConv2d(PLANES, width, 3, padding=1)
        self.stages = nn.ModuleList(Stage(config, i, own) for i, own in enumerate(drops[:7]))
        self.enter = Resize(width, fine)
        self.refinement = nn.ModuleList(Group(fine, config, scale=1, drops=d) for d in drops[7:])
        self.leave = Resize(fine, width)
        self.conv_last = WideConv2d(width, PLANES, 3, padding=1)

    def forward(self, clip: Clip) -> Clip:
        """The clip without its noise, unclamped; float32 for a clip in half precision."""
        rows, cols = clip.shape[-2:]
        if 0 in clip.shape:
            raise GraftworkError(f"clip: has no frames or pixels ({list(clip.shape)}); give some")
        x = padded(clip.to(self.conv_first.bias.dtype), COARSEST, self.config.least)  # type: ignore[union-attr]
        y = self._in_float32(self.conv_first, x.permute(0, 1, 3, 4, 2))
        z = self._in_float32(self.conv_last, self._features(y) + y)
        return (x + z.permute(0, 1, 4, 2, 3))[..., :rows, :cols]

    def checkpoint_blocks(self, enabled: bool = True) -> None:
        """Recompute each block's activations in the backward pass: less memory, more time."""
        for module in self.modules():
            if isinstance(module, Group):
                module.checkpointing = enabled

    def _features(self, x: Map) -> Map:
        s1 = self.stages[0](x)
        s2 = self.stages[1](s1)
        s3 = self.stages[2](s2)
        s5 = self.stages[4](self.stages[3](s3))
        s6 = self.stages[5](s5 + s3)
        x = self.enter(self.stages[6](s6 + s2) + s1)
        for group in self.refinement:
            x = group(x)
        return self.leave(x)

    @staticmethod
    def _in_float32(conv: nn.Module, x: Map) -> OtherMap:
        with torch.autocast(x.device.type, enabled=False):
            return per_frame(conv, x)


def _drops(config: RViDeformerConfig) -> list[list[float]]:
    """Each block's chance to be skipped: a linear ramp over all blocks."""
    depths = (*config.depths, *config.refinement_depths)
    last = max(sum(depths) - 1, 1)
    ramp = [config.drop_path * i / last for i in range(sum(depths))]
    starts = [sum(depths[:i]) for i in range(len(depths))]
    return [ramp[start : start + depth] for start, depth in zip(starts, depths, strict=True)]
