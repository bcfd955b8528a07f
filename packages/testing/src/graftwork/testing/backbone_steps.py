"""Checks of a backbone's training step."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from graftwork.testing.backbone_cases import BackboneCases
from graftwork.testing.compare import agree, same_bits


class Steps(BackboneCases):
    """What a step holds, and what it repeats."""

    def test_step_is_finite(self) -> None:
        """A step holds what was asked for, finite, and nothing that was not.

        When it fails: compute each prediction only if its word is in `needs`.
        """
        backbone = self.backbone()
        step = self.step(backbone)
        for field in dataclasses.fields(step):
            value = getattr(step, field.name)
            if isinstance(value, Tensor):
                assert value.isfinite().all(), f"'{field.name}' has NaN or infinity"
        for name in (name for names in self.fields.values() for name in names):
            assert getattr(step, name) is not None, f"'{name}' is None though `needs` asks for it"
        for need, names in self.fields.items():
            lean = self.step(backbone, needs=frozenset(self.fields) - {need})
            for name in names:
                assert getattr(lean, name) is None, f"'{name}' computed though nobody needs it"

    def test_step_repeats(self) -> None:
        """The same generator seed gives the same step, bit for bit; another seed another one.

        When it fails: draw noise and timesteps from the `generator` argument alone.
        """
        backbone = self.backbone()
        with self.grafted(backbone):
            first, again, other = (self.step(backbone, seed=seed) for seed in (0, 0, 1))
        for field in dataclasses.fields(first):
            value = getattr(first, field.name)
            if isinstance(value, Tensor):
                remedy = f"'{field.name}': draw from `generator` alone"
                same_bits(value, getattr(again, field.name), remedy=remedy)
        if self.draws:
            assert _differ(first, other), "the seed changes nothing; draw from `generator`"

    def test_gradient_reaches_the_adapter(self) -> None:
        """Every adapter on the default sites gets a gradient, and the backbone none.

        When it fails: run the adapted forward pass with gradients, through the layers that
        `default_sites` names.
        """
        backbone = self.backbone()
        with self.grafted(backbone) as handle:
            self.objective(self.step(backbone)).backward()
            still = [n for n, p in handle.named_parameters() if p.grad is None or not p.grad.any()]
            assert not still, f"no gradient reaches {still[:3]}"
            own = {id(p) for p in handle.parameters()}
            given = [
                n
                for n, p in backbone.module.named_parameters()
                if id(p) not in own and p.grad is not None
            ]
            assert not given, f"the backbone's {given[:3]} got a gradient; keep it frozen"

    def test_gradient_checkpointing_changes_nothing(self) -> None:
        """With the setting `gradient_checkpointing`, if there is one, gradients are the same.

        When it fails: use non-reentrant checkpointing and draw nothing inside it.
        """
        if "gradient_checkpointing" not in self.setting_names():
            return
        found = [self._gradients(gradient_checkpointing=on) for on in (False, True)]
        for name, gradient in found[0].items():
            remedy = f"gradient of '{name}' under checkpointing"
            agree(found[1][name], gradient, tolerance=1e-4, remedy=remedy)

    def _gradients(self, **changes: Any) -> dict[str, Tensor]:
        backbone = self.backbone(**changes)
        with self.grafted(backbone) as handle:
            handle.train()
            self.objective(self.step(backbone)).backward()
            return {
                name: p.grad.clone() for name, p in handle.named_parameters() if p.grad is not None
            }


def _differ(first: Any, other: Any) -> bool:
    """Whether any tensor of two steps differs."""
    pairs = ((getattr(first, f.name), getattr(other, f.name)) for f in dataclasses.fields(first))
    return any(isinstance(a, Tensor) and not torch.equal(a, b) for a, b in pairs)
