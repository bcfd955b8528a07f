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
        for name in ("clean", "noise", "prediction", "adapted_free", "frozen_free"):
            field = getattr(step, name)
            assert field is not None, f"'{name}' is None though `needs` asks for it"
            assert field.isfinite().all(), f"'{name}' has NaN or infinity"
            assert field.shape == step.clean.shape, f"'{name}' has another shape than 'clean'"
        assert ((step.alpha_bar > 0) & (step.alpha_bar <= 1)).all(), "alpha_bar outside 0..1"
        lean = self.step(backbone, needs=frozenset({"prediction"}))
        assert lean.adapted_free is None, "adapted_free computed though nobody needs it"
        assert lean.frozen_free is None, "frozen_free computed though nobody needs it"

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
        assert not torch.equal(first.noise, other.noise), "the seed does not change the noise"

    def test_free_pair_is_equal_without_graft(self) -> None:
        """Without an adapter the adapted and the frozen prediction are equal, with one they differ.

        When it fails: use the same z_t, t and captions in both, and `frozen(self.module)` in the
        second, without gradient.
        """
        backbone = self.backbone()
        step = self.step(backbone)
        pair = step.adapted_free, step.frozen_free
        agree(*pair, tolerance=self.rounding, remedy="use the same z_t, t and captions")
        with self.grafted(backbone):
            changed = self.step(backbone)
        assert not changed.frozen_free.requires_grad, "frozen_free carries a gradient; no_grad()"
        pair = changed.frozen_free, step.frozen_free
        agree(*pair, tolerance=self.rounding, remedy="use frozen(self.module)")
        gap = (changed.adapted_free - step.frozen_free).abs().max()
        assert gap > 10 * self.rounding, "the graft does not act on adapted_free"

    def test_gradient_reaches_the_adapter(self) -> None:
        """Every adapter on the default sites gets a gradient, and the backbone none.

        When it fails: run the adapted forward pass with gradients, through the layers that
        `default_sites` names.
        """
        backbone = self.backbone()
        with self.grafted(backbone) as handle:
            _loss(self.step(backbone)).backward()
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
            _loss(self.step(backbone)).backward()
            return {
                name: p.grad.clone() for name, p in handle.named_parameters() if p.grad is not None
            }


def _loss(step: Any) -> Tensor:
    loss: Tensor = (step.prediction - step.target).square().mean()
    return loss + step.adapted_free.square().mean()
