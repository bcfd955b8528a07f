"""Every method of PEFT and LyCORIS, from their own registries, and settings for small layers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import graftwork_lycoris.catalogue as lycoris
import graftwork_peft.catalogue as peft

SETTINGS: dict[str, dict[str, Any]] = {
    "peft/adalora": {"total_step": 100},
    "peft/adamss": {"rank": 8, "num_subspaces": 2},
    "peft/boft": {},
    "peft/c3a": {"block_size": 4},
    "peft/fourierft": {"n_frequency": 20, "scaling": 4.0},
    "peft/oft": {"oft_block_size": 4},
    "peft/randlora": {"rank": 4, "alpha": 16.0},
    "peft/road": {"group_size": 4},
    "peft/shira": {"rank": 2},
    "peft/supertuning": {"sparsity": 0.8, "rank": 4},
    "peft/tinylora": {"u": 4},
    "peft/trainable_tokens": {"token_indices": [1, 2]},
    "peft/vblora": {"vector_length": 4, "num_vectors": 16},
    "peft/waveft": {"n_frequency": 20},
}
"""Where layers of 8 and 16 want something else than a rank of 4, if the method has a rank."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method of a library."""

    kind: str
    """Its name in graftwork, "peft/vera"."""
    broken: str = ""
    """Why it is no adapter; empty where it is one."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings for layers of 8 and 16."""


def methods() -> list[Method]:
    """All of them: PEFT's, then LyCORIS's, each by name."""
    found = [(f"peft/{name}", peft.UNSUPPORTED.get(name, "")) for name in peft.methods()]
    found += [(f"lycoris/{name}", lycoris.BROKEN.get(name, "")) for name in lycoris.algorithms()]
    return [
        Method(kind=kind, broken=broken, settings={} if broken else settings(kind))
        for kind, broken in found
    ]


def settings(kind: str) -> dict[str, Any]:
    """Settings of a method for layers of 8 and 16."""
    from graftwork.core import registry
    from graftwork.core.config import describe

    names = {one.name for one in describe(registry.find("adapters", kind).settings_class())}
    return SETTINGS.get(kind, {"rank": 4} if "rank" in names else {})


def versions() -> str:
    """What the table is for, such as "PEFT 0.21.2, LyCORIS 4.1.3"."""
    return f"PEFT {version('peft')}, LyCORIS {version('lycoris-lora')}"
