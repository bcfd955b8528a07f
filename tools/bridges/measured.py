"""What a bridged method does, seen on small layers."""

import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bridges.methods import Method
from graftwork.core import registry
from graftwork.nn import Graft, graft, load_graft


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One row of the table, "yes" and "no" as they stand there."""

    path: str
    identity: bool
    merges: bool
    files: bool
    packs: bool


class Packed(nn.Module):
    """Attention with q, k and v in one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return (q @ k.mT).softmax(-1) @ v


def seen(method: Method) -> Seen:
    """Graft, shake, save, load and merge a method."""
    model, x = _made(), torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    frozen = model(x)
    handle = graft(model, method.kind, method.settings, sites="*")
    identity = _near(model(x), frozen)
    _shake(handle)
    with tempfile.TemporaryDirectory() as folder:
        other = _made()
        loaded = load_graft(other, handle.save(Path(folder) / "adapter"))
    files = torch.equal(other(x), model(x)) and not _near(model(x), frozen)
    return Seen(
        path=_path(handle),
        identity=identity,
        merges=_merges(loaded, model(x), x),
        files=files,
        packs=_packs(method),
    )


def _path(handle: Graft) -> str:
    cls = registry.find("adapters", handle.method).load()
    each = "all sites together" if getattr(cls, "joint", False) else "site by site"
    return f"{each}, {handle.spec.family}"


def _merges(handle: Graft, expected: Tensor, x: Tensor) -> bool:
    if not handle.spec.mergeable:
        return False
    handle.merge()
    return _near(handle.model(x), expected)


def _packs(method: Method) -> bool:
    """Whether q, k and v get adapters of their own that act."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = Packed().eval()
    x = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(2))
    frozen = model(x)
    handle = graft(model, method.kind, method.settings, sites="qkv.*")
    _shake(handle)
    output = model(x)
    acts = len(handle.sites) == 3 and not _near(output, frozen)
    if acts and handle.spec.mergeable:
        handle.merge()
        acts = _near(model(x), output)
    return acts


def _made() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        layers = {name: nn.Linear(*size, bias=False) for name, size in _SIZES.items()}
    return nn.Sequential(OrderedDict(layers)).eval()


def _shake(handle: Graft) -> None:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in handle.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def _near(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-5)


_SIZES = {"opening": (8, 16), "middle": (16, 16), "ending": (16, 8)}
