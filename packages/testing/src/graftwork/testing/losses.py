"""Checks of a loss."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, get_args

import pytest
import torch
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.nn.denoising import DenoisingStep, PredictionType
from graftwork.nn.loss import Loss
from graftwork.testing.compare import agree
from graftwork.testing.plugins import PluginSuite


class LossSuite(PluginSuite):
    """Checks of one loss on steps of a diffusion backbone.

    ```python
    class TestCAT(LossSuite):
        name = "cat"
    ```

    A loss for another kind of step overrides `step` and `fields`.
    """

    kind = "losses"
    base = Loss

    zero_at_perfection: ClassVar[bool] = True
    """Whether the loss is zero when every prediction is its target."""
    variants: ClassVar[tuple[str, ...]] = get_args(PredictionType)
    """What `step` is asked for in turn; the prediction types of a diffusion backbone."""
    fields: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "prediction": ("prediction",),
        "negative": ("negative",),
        "free": ("adapted_free", "frozen_free"),
    }
    """The fields of a step that each word in `needs` stands for."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run checks that take a `variant` on all of them."""
        if "variant" in metafunc.fixturenames:
            metafunc.parametrize("variant", self.variants)

    def loss(self) -> Loss:
        """The loss under test."""
        loss: Loss = self.record.load()(self.parsed())
        return loss

    def step(self, variant: str, needs: frozenset[str], *, perfect: bool = False) -> Any:
        """A step in float64 that holds what `needs` names; perfect, each prediction its target."""
        generator = torch.Generator().manual_seed(17)
        draw = [torch.randn(3, 2, 4, 5, generator=generator).double() for _ in range(6)]
        alpha_bar = torch.tensor([0.999, 0.4, 0.005], dtype=torch.float64)
        prediction_type: Any = variant
        blank = DenoisingStep(
            prediction_type=prediction_type,
            clean=draw[0],
            noise=draw[1],
            alpha_bar=alpha_bar,
            time=torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64),
        )
        made = {
            "prediction": blank.target.clone() if perfect else draw[2],
            "negative": blank.target.clone() if perfect else draw[5],
            "adapted_free": draw[4].clone() if perfect else draw[3],
            "frozen_free": draw[4],
        }
        wanted = {name for need in needs for name in self.fields.get(need, ())}
        fields: Any = {name: made[name] for name in wanted}
        return dataclasses.replace(blank, **fields)

    def test_needs_are_known(self) -> None:
        """`needs` names fields that a step can have.

        When it fails: correct the word in `needs`; for another kind of step, override `fields`.
        """
        unknown = self.record.load().needs - self.fields.keys()
        assert not unknown, f"needs: {sorted(unknown)} unknown; known: {sorted(self.fields)}"

    def test_it_is_a_finite_scalar(self, variant: str) -> None:
        """The loss is one finite number in the dtype of the predictions, near both ends of time.

        When it fails: average over the batch, and guard divisions by alpha_bar or 1 - alpha_bar.
        """
        loss = self.loss()
        value = loss(self.step(variant, loss.needs))
        assert value.shape == (), f"shape {tuple(value.shape)}; return the mean"
        assert value.isfinite(), "NaN or infinity; guard the weights near alpha_bar 0 and 1"
        assert value.dtype == torch.float64, f"{value.dtype} from float64; cast nothing down"

    def test_gradient_is_right(self, variant: str) -> None:
        """The gradient reaches the adapter's predictions, agrees with differences, and is not zero.

        When it fails: detach the frozen prediction only, and build the loss of torch's operations.
        """
        loss = self.loss()
        step = self.step(variant, loss.needs)
        for name in self._predictions(loss):
            field = getattr(step, name).requires_grad_()
            value = loss(step)
            assert value.requires_grad, f"the loss of '{name}' has no gradient; do not detach it"
            (gradient,) = torch.autograd.grad(value, field, allow_unused=True)
            assert gradient is not None, f"no gradient reaches '{name}'; do not detach it"
            assert gradient.abs().max() > 0, f"the gradient of '{name}' is zero"
            agree(gradient, _difference(loss, step, name), tolerance=1e-6, remedy=f"of '{name}'")
            field.requires_grad_(False)

    def test_frozen_prediction_is_a_target(self, variant: str) -> None:
        """No gradient flows into the frozen prediction.

        When it fails: use `step.frozen_free.detach()`.
        """
        loss = self.loss()
        if "free" not in loss.needs or "frozen_free" not in self.fields.get("free", ()):
            return
        step = self.step(variant, loss.needs)
        step.frozen_free.requires_grad_()
        value = loss(step)
        if not value.requires_grad:
            return
        (gradient,) = torch.autograd.grad(value, step.frozen_free, allow_unused=True)
        assert gradient is None or not gradient.any(), "detach frozen_free"

    def test_missing_field_is_told(self, variant: str) -> None:
        """A step without what `needs` names is one clear error.

        When it fails: test the field for None first and raise an error that names it; or take the
        word off `needs`, if the loss does without.
        """
        loss = self.loss()
        assert loss.needs, "needs: empty; name what the loss reads"
        try:
            loss(self.step(variant, frozenset()))
        except (GraftworkError, ValueError):
            return
        except Exception as error:
            pytest.fail(f"{type(error).__name__} ({error}); test for None and name the field")
        pytest.fail("the loss does without its `needs`; take them off")

    def test_batch_is_averaged(self, variant: str) -> None:
        """A batch that holds every example twice has the same loss.

        When it fails: take the mean over the batch, not the sum.
        """
        loss = self.loss()
        step = self.step(variant, loss.needs)
        doubled: dict[str, Any] = {}
        for name, value in vars(step).items():
            if isinstance(value, Tensor):
                doubled[name] = torch.cat([value, value])
            elif isinstance(value, tuple):  # something of each example
                doubled[name] = value + value
        twice = loss(dataclasses.replace(step, **doubled))
        agree(twice, loss(step), tolerance=1e-9, remedy="take the mean over the batch")

    def test_zero_at_perfection(self, variant: str) -> None:
        """With every prediction equal to its target the loss is zero, and never below.

        When it fails: compare with `step.target`, which follows the prediction type; or declare
        `zero_at_perfection = False`.
        """
        loss = self.loss()
        value = float(loss(self.step(variant, loss.needs, perfect=True)))
        if self.zero_at_perfection:
            assert abs(value) < 1e-12, f"{value:.3g} at perfection; compare with step.target"
        else:
            assert abs(value) > 1e-12, "zero at perfection; remove `zero_at_perfection = False`"

    def test_it_repeats(self, variant: str) -> None:
        """The same step gives the same loss, and is left as it was.

        When it fails: draw nothing at random, and write into no field.
        """
        loss = self.loss()
        step = self.step(variant, loss.needs)
        before = {k: v.clone() for k, v in vars(step).items() if isinstance(v, Tensor)}
        assert torch.equal(loss(step), loss(step)), "two values for one step; draw nothing"
        for name, tensor in before.items():
            assert torch.equal(getattr(step, name), tensor), f"it writes into '{name}'"

    def _predictions(self, loss: Loss) -> list[str]:
        named = [name for need in loss.needs for name in self.fields[need]]
        return [name for name in named if not name.startswith("frozen")]


def _difference(loss: Loss, step: Any, name: str) -> Tensor:
    """Gradient with respect to a field by central differences of a few entries, the rest ours."""
    field = getattr(step, name).detach()
    (gradient,) = torch.autograd.grad(loss(step), getattr(step, name))
    numeric = gradient.clone().flatten()
    for index in range(0, field.numel(), max(1, field.numel() // 7)):
        values = []
        for sign in (1, -1):
            moved = field.clone().flatten()
            moved[index] += sign * 1e-5
            values.append(float(loss(dataclasses.replace(step, **{name: moved.view_as(field)}))))
        numeric[index] = (values[0] - values[1]) / 2e-5
    return numeric.view_as(field)
