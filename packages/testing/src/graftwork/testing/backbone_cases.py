"""A backbone under test, with an adapter of the kit's own on it."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch

from graftwork.core import plugins
from graftwork.core.plugins import PluginManager
from graftwork.nn import Graft, graft
from graftwork.nn.backbone import Backbone
from graftwork.nn.dataset import Dataset
from graftwork.testing import toy
from graftwork.testing.adapter.case import shake
from graftwork.testing.plugins import PluginSuite
from graftwork.testing.toy_data import ToyDataset

_ALL = frozenset({"prediction", "free"})


class BackboneCases(PluginSuite):
    """What a `BackboneSuite` declares, and how it makes its cases."""

    kind = "backbones"
    base = Backbone

    sampling: ClassVar[Mapping[str, Any]] = {"steps": 2}
    """Settings of `sample` that keep it short."""
    prompts: ClassVar[tuple[str, ...]] = ("a photo of brick", "a photo of coins")
    """Two prompts that give different images."""
    tolerance: ClassVar[float] = 1e-4
    """Largest gap between an image drawn alone and in a batch."""
    rounding: ClassVar[float] = 0.0
    """Largest gap between the adapted and the frozen prediction while no adapter acts; not zero
    where the two come from batches of different sizes."""

    def backbone(self, **changes: Any) -> Backbone:
        """A fresh backbone in float32 on the CPU."""
        made: Backbone = self.record.load()(self.parsed(**changes))
        made.to(torch.device("cpu"), torch.float32)
        return made

    def dataset(self) -> Dataset:
        """What the backbone is given to prepare; override for another task."""
        return ToyDataset()

    def step(self, backbone: Backbone, *, seed: int = 0, needs: frozenset[str] = _ALL) -> Any:
        """One step on the first two examples."""
        examples = backbone.prepare(self.dataset())
        generator = torch.Generator().manual_seed(seed)
        return backbone.step(examples, [0, 1], needs=needs, generator=generator)

    @contextlib.contextmanager
    def grafted(self, backbone: Backbone) -> Iterator[Graft]:
        """The kit's low-rank adapter on the default sites, with random values."""
        manager = PluginManager()
        manager.register(toy, "graftwork-testing-toy")
        with plugins.use(manager):
            handle = graft(backbone.module, "toy-lora", {"rank": 1}, sites=backbone.default_sites())
            shake(handle, size=0.2)
            yield handle
            handle.detach()
