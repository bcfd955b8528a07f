"""Small models with one kind of site each, for adapters to sit on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Toy:
    """A model of a few dozen weights, and an input for it."""

    name: str
    kind: str
    """What an adapter may declare unsupported: "linear", "conv2d", "packed", ..."""
    build: Callable[[], nn.Module]
    """Makes the model; its weights depend on torch's seed."""
    shape: tuple[int, ...]
    """Shape of the input."""
    tokens: int = 0
    """The input holds token ids below this; 0 for an input of features."""
    largest_rank: int = 2
    """Smaller side of the smallest site."""
    observable: bool = True
    """Whether its layers show adapters their input."""

    def model(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """The model in evaluation mode, the same at every call."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            return self.build().to(dtype).eval()

    def input(self, dtype: torch.dtype = torch.float64) -> Tensor:
        """An input, the same at every call."""
        generator = torch.Generator().manual_seed(11)
        if self.tokens:
            return torch.randint(self.tokens, self.shape, generator=generator)
        return torch.randn(self.shape, generator=generator, dtype=torch.float64).to(dtype)


class Embeddings(nn.Module):
    """Token and position embeddings, summed."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(11, 6, padding_idx=0)
        self.positions = nn.Embedding(5, 6)

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, length) ids to (batch, length, 6)."""
        return self.tokens(ids) + self.positions(torch.arange(ids.shape[-1]))


class PackedAttention(nn.Module):
    """Attention with q, k and v in one linear layer, as timm has it."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(6, 18)
        self.proj = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, 6) to the same."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.proj((q @ k.mT).softmax(-1) @ v)


class TorchAttention(nn.Module):
    """torch's own attention, which reads its weights and calls no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, 6) to the same."""
        return self.attention(x, x, x, need_weights=False)[0]


def _linear() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 5, bias=False))


def _odd() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 7), nn.Tanh(), nn.Linear(7, 1))


def _conv1d() -> nn.Module:
    return nn.Sequential(nn.Conv1d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv1d(4, 2, 1, bias=False))


def _conv2d() -> nn.Module:
    first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    return nn.Sequential(first, nn.Tanh(), nn.Conv2d(4, 2, (2, 1), bias=False))


def _conv2d_grouped() -> nn.Module:
    first = nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2)
    return nn.Sequential(first, nn.Tanh(), nn.Conv2d(6, 6, 3, padding=1, groups=6))


def _conv2d_padding_modes() -> nn.Module:
    first = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
    return nn.Sequential(first, nn.Tanh(), nn.Conv2d(4, 3, (1, 3), padding="same"))


def _conv3d() -> nn.Module:
    first = nn.Conv3d(2, 3, (1, 2, 3), stride=(1, 2, 1))
    return nn.Sequential(first, nn.Tanh(), nn.Conv3d(3, 2, 1))


TOYS: tuple[Toy, ...] = (
    Toy(name="linear", kind="linear", build=_linear, shape=(2, 3, 6), largest_rank=4),
    Toy(name="linear-odd", kind="linear", build=_odd, shape=(5, 1), largest_rank=1),
    Toy(name="conv1d", kind="conv1d", build=_conv1d, shape=(2, 3, 7)),
    Toy(name="conv2d", kind="conv2d", build=_conv2d, shape=(2, 3, 7, 5)),
    Toy(name="conv2d-grouped", kind="conv2d", build=_conv2d_grouped, shape=(2, 4, 6, 6)),
    Toy(name="conv2d-modes", kind="conv2d", build=_conv2d_padding_modes, shape=(2, 3, 5, 5)),
    Toy(name="conv3d", kind="conv3d", build=_conv3d, shape=(2, 2, 2, 5, 4)),
    Toy(name="embedding", kind="embedding", build=Embeddings, shape=(2, 5), tokens=11),
    Toy(name="packed", kind="packed", build=PackedAttention, shape=(2, 4, 6), largest_rank=6),
    Toy(
        name="attention",
        kind="attention",
        build=TorchAttention,
        shape=(2, 4, 6),
        largest_rank=6,
        observable=False,
    ),
)
"""Every layer that an adapter meets: strided, padded, grouped, dilated, one wide, of prime size."""
