"""A small model with every kind of layer that these files know, and strong adapters for it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graftwork.nn import Graft, graft

torch.set_num_threads(1)


class Net(nn.Module):
    """A kernel, a point convolution and two linear layers; underscores in names on purpose."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv_in = nn.Conv2d(4, 8, 3, padding=1, stride=2)
        self.block = nn.ModuleDict({"to_mix": nn.Conv2d(8, 12, 1)})
        self.ff = nn.ModuleList([nn.Linear(12, 16), nn.Linear(16, 8, bias=False)])

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.block["to_mix"](torch.tanh(self.conv_in(x))).mean((2, 3))
        return self.ff[1](torch.tanh(self.ff[0](hidden)))


class Model(nn.Module):
    """A UNet and a text encoder by name alone, as kohya's names want them."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = Net()
        self.text_encoder = nn.ModuleDict({"encoder": nn.ModuleDict({"q_proj": nn.Linear(6, 6)})})

    def forward(self, x: Tensor) -> Tensor:
        words = self.text_encoder["encoder"]["q_proj"](x.flatten(1)[:, :6])
        return torch.cat([self.unet(x), words], 1)


def strong(model: nn.Module, method: str, settings: Any, sites: Any = "*") -> Graft:
    """A graft that changes the output."""
    handle = graft(model, method, settings, sites=sites)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in handle.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("magnitude"):
                parameter.mul_(1 + 0.3 * noise.abs())
            else:
                parameter.copy_(0.3 * noise)
    return handle


@pytest.fixture
def net() -> Callable[[], Net]:
    return Net


@pytest.fixture
def model() -> Callable[[], Model]:
    return Model


@pytest.fixture
def make_strong() -> Callable[..., Graft]:
    return strong


@pytest.fixture
def x() -> Tensor:
    return torch.randn(3, 4, 6, 6, generator=torch.Generator().manual_seed(1))
