"""What this distribution registers: the raw-video backbones, and their packed layers as sites."""

from collections.abc import Iterable
from typing import Any

from graftwork.core import BackboneSpec, hookimpl

_HERE = "graftwork.backbones.rvideformer"
_CITES = (
    "arXiv:2305.00767 Yue et al. 2023, RViDeformer: Efficient Raw Video Denoising Transformer with "
    "a Larger Benchmark Dataset",
)


@hookimpl
def backbones() -> Iterable[BackboneSpec]:
    """rvideformer, tiny-rvideformer."""
    yield BackboneSpec(
        name="rvideformer",
        target=f"{_HERE}.backbone:RViDeformerBackbone",
        config=f"{_HERE}.settings:RViDeformerSettings",
        summary="RViDeformer T, S, M or L from a file, or with fresh weights",
        task="raw-video",
        default_loss="l1-raw",
        cites=_CITES,
    )
    yield BackboneSpec(
        name="tiny-rvideformer",
        target=f"{_HERE}.tiny:TinyRViDeformer",
        config=f"{_HERE}.settings:TinyRViDeformerConfig",
        summary="a small RViDeformer whose weights ship with the package; for CPUs",
        task="raw-video",
        default_loss="l1-raw",
        cites=_CITES,
    )


@hookimpl
def as_site(module: Any, name: str) -> Any:
    """Each projection of a packed layer is a site of its own."""
    plain = getattr(type(module), "grafted_from", type(module))
    if plain.__module__ != f"{_HERE}.packed":
        return None
    from graftwork.nn import Site

    return Site(name=name, layer=module, kind="linear", parts=module.parts)
