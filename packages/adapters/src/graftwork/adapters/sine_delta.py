"""SineLoRA-Delta: the factors of a trained Sine-LoRA as codebooks of a few bits."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graftwork.adapters.codebook import Codebook, quantized
from graftwork.adapters.sine import SineLoRA
from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft

BITS = range(1, 9)
"""Sizes of a code."""


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """What quantising the factors of a graft gave and cost."""

    books: Mapping[str, Codebook]
    """The codebook of every A and B, by its name in the graft."""
    errors: Mapping[str, float]
    """||D - D'|| / ||D|| of every site, D the change of its weight before and D' after."""
    error: float
    """The same over all sites together."""
    bytes: int
    """What codes and codebooks take when packed."""
    full_bytes: int
    """What the factors take in float32."""


def quantize(handle: Graft, bits: int) -> Quantization:
    """Replace A and B of every site by k-means codebooks of 2^bits values each, in place.

    D' = gain sin(omega Q(B) Q(A))  (2025, arXiv:2505.21895): after training, one codebook for each
    factor of each site.

    Raises:
        GraftworkError: the graft is of another method, or the bits are not 1 to 8.
    """
    measured = quantization(handle, bits)
    _replace(handle, {name: book.tensor() for name, book in measured.books.items()})
    return measured


@torch.no_grad()
def quantization(handle: Graft, bits: int) -> Quantization:
    """What `quantize` would give; the graft stays as it is. Raises like `quantize`."""
    books = {name: quantized(tensor, bits) for name, tensor in _factors(handle, bits)}
    before = {site: _change(adapter) for site, adapter in handle.sites.items()}
    kept = {name: tensor.clone() for name, tensor in handle.state_dict().items()}
    _replace(handle, {name: book.tensor() for name, book in books.items()})
    lost = {s: float((before[s] - _change(a)).norm()) for s, a in handle.sites.items()}
    _replace(handle, kept)
    norms = {site: float(change.norm()) for site, change in before.items()}
    codes = sum(len(book.values) * 4 + _packed_bytes(book, bits) for book in books.values())
    return Quantization(
        books=books,
        errors={site: _ratio(lost[site], norms[site]) for site in norms},
        error=_ratio(math.hypot(*lost.values()), math.hypot(*norms.values())),
        bytes=codes,
        full_bytes=sum(book.codes.numel() * 4 for book in books.values()),
    )


@torch.no_grad()
def _replace(handle: Graft, tensors: Mapping[str, Tensor]) -> None:
    """Copy some of a graft's tensors, by their names in it."""
    own = handle.state_dict()
    for name, tensor in tensors.items():
        own[name].copy_(tensor)


def _factors(handle: Graft, bits: int) -> Iterator[tuple[str, Tensor]]:
    if bits not in BITS:
        raise GraftworkError(f"bits: {bits} is not a size of a code; use 1 to 8")
    for site, adapter in handle.sites.items():
        if not isinstance(adapter, SineLoRA):
            raise GraftworkError(
                f"codebooks of factors are defined for sine-lora, not for {handle.method}; keep "
                "graftwork's own files (`save`)"
            )
        yield f"{site}.down", adapter.down
        yield f"{site}.up", adapter.up


def _change(adapter: Any) -> Tensor:
    site = adapter.site
    return adapter.effective(torch.zeros_like(site.weight(), dtype=torch.float64))


def _packed_bytes(book: Codebook, bits: int) -> int:
    return -(-book.codes.numel() * bits // 8)


def _ratio(lost: float, norm: float) -> float:
    return lost / norm if norm else 0.0
