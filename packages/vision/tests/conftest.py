"""Small models of timm with drawn weights."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from graftwork.backbones.vision.backbone import TimmBackbone
from graftwork.core import plugins
from graftwork.core.config import parse
from graftwork.core.plugins import PluginManager
from graftwork.core.registry import find
from graftwork.testing import toy

VIT: dict[str, Any] = {
    "model": "vit_tiny_patch16_224",
    "pretrained": False,
    "arguments": {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2},
}


@pytest.fixture
def vit() -> Callable[..., TimmBackbone]:
    """`vit(cache=...)`: a vision transformer of two blocks."""

    def make(**changes: Any) -> TimmBackbone:
        settings = parse(find("backbones", "timm").settings_class(), {**VIT, **changes}, "timm")
        return TimmBackbone(settings)

    return make


@pytest.fixture
def lora() -> Iterator[str]:
    """The name of the kit's low-rank adapter, which is installed; it starts as the identity."""
    with plugins.use(PluginManager()) as manager:
        manager.register(toy, "graftwork-testing-toy")
        yield "toy-lora"
