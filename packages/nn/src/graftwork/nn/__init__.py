"""Grafts: sites, adapters and their files. Names load on first use, so importing is cheap."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graftwork.nn.adapter import ActivationAdapter, TokenAdapter, WeightAdapter
    from graftwork.nn.files import load_graft
    from graftwork.nn.grafting import graft
    from graftwork.nn.handle import Graft, frozen, grafts
    from graftwork.nn.identity import fingerprint
    from graftwork.nn.site import Site

_HOME = {
    "ActivationAdapter": "adapter",
    "Graft": "handle",
    "Site": "site",
    "TokenAdapter": "adapter",
    "WeightAdapter": "adapter",
    "fingerprint": "identity",
    "frozen": "handle",
    "graft": "grafting",
    "grafts": "handle",
    "load_graft": "files",
}

__all__ = [
    "ActivationAdapter",
    "Graft",
    "Site",
    "TokenAdapter",
    "WeightAdapter",
    "fingerprint",
    "frozen",
    "graft",
    "grafts",
    "load_graft",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
