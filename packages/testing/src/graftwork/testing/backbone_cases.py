"""A backbone under test, with an adapter of the kit's own on it."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from graftwork.core import plugins
from graftwork.core.plugins import PluginManager
from graftwork.nn import Graft, graft
from graftwork.nn.backbone import Backbone
from graftwork.nn.dataset import Dataset
from graftwork.testing import toy
from graftwork.testing.adapter.case import shake
from graftwork.testing.plugins import PluginSuite


class BackboneCases(PluginSuite):
    """What a `BackboneSuite` declares, and how it makes its cases."""

    kind = "backbones"
    base = Backbone

    fields: ClassVar[Mapping[str, tuple[str, ...]]] = {"prediction": ("prediction",)}
    """The fields of a step that each word in `needs` stands for."""

    draws: ClassVar[bool] = True
    """Whether a step draws something, such as noise."""

    def backbone(self, **changes: Any) -> Backbone:
        """A fresh backbone in float32 on the CPU."""
        made: Backbone = self.record.load()(self.parsed(**changes))
        made.to(torch.device("cpu"), torch.float32)
        return made

    def dataset(self) -> Dataset:
        """What the backbone is given to prepare: two examples or more."""
        raise NotImplementedError("write `dataset(self)`: return a small data set of the task")

    def step(
        self, backbone: Backbone, *, seed: int = 0, needs: frozenset[str] | None = None
    ) -> Any:
        """One step on the first two examples, with all that a loss can ask for."""
        examples = backbone.prepare(self.dataset())
        generator = torch.Generator().manual_seed(seed)
        needs = frozenset(self.fields) if needs is None else needs
        return backbone.step(examples, [0, 1], needs=needs, generator=generator)

    def objective(self, step: Any) -> Tensor:
        """A scalar that every adapter on the default sites moves."""
        gap: Tensor = step.prediction - step.target
        return gap.square().mean()

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
