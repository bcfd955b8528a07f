"""The network between two affine layers, one for each colour plane of a sensor."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.backbones.rvideformer.network import PLANES, RViDeformer


class Denoiser(nn.Module):
    """`sensor_in`, `network` and `sensor_out`, the names that site patterns match.

    The two outer layers scale and move each plane; they do nothing until an adapter on them learns
    what another sensor's gain, colour response or black level asks for.
    """

    def __init__(self, network: RViDeformer) -> None:
        super().__init__()
        self.sensor_in = _identity()
        self.network = network
        self.sensor_out = _identity()

    def before(
        self, frames: Float[Tensor, "*lead 4 height width"]
    ) -> Float[Tensor, "*lead 4 height width"]:
        """Frames as the network's sensor would have given them."""
        return _per_frame(self.sensor_in, frames)

    def after(
        self, frames: Float[Tensor, "*lead 4 height width"]
    ) -> Float[Tensor, "*lead 4 height width"]:
        """Frames as their own sensor would give them."""
        return _per_frame(self.sensor_out, frames)


def _identity() -> nn.Conv2d:
    """A 1x1 convolution of each plane by itself, at y = x."""
    layer = nn.Conv2d(PLANES, PLANES, 1, groups=PLANES)
    with torch.no_grad():
        layer.weight.fill_(1)
        assert layer.bias is not None
        layer.bias.zero_()
    return layer


def _per_frame(layer: nn.Module, frames: Tensor) -> Tensor:
    made: Tensor = layer(frames.reshape(-1, *frames.shape[-3:])).reshape(frames.shape)
    return made
