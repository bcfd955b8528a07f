"""The bridge between PEFT and graftwork. Names load on first use, so importing is cheap."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graftwork_peft.method import GraftworkConfig

__all__ = ["GraftworkConfig"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.method"), name)
