"""CAT on toy models: oracles O6.1 to O6.5 of the paper's loss, by hand and by autograd."""

import pytest
import torch

from graftwork.core import GraftworkError
from graftwork.losses.cat import CAT, CATConfig
from graftwork.losses.denoising import Denoising, DenoisingConfig
from graftwork.nn.denoising import DenoisingStep

denoising = Denoising(DenoisingConfig())
cat = CAT(CATConfig())


def image(*values):
    return torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1)


def matvec(matrix, x):
    return torch.einsum("oi,bihw->bohw", matrix, x)


class Toy:
    """y = (W0 + B A) x on a trigger and on a free input; the target is zero."""

    def __init__(self, b):
        self.w0 = torch.eye(2, dtype=torch.float64)
        self.a = torch.tensor([[1.0, 0.0]], dtype=torch.float64, requires_grad=True)
        self.b = torch.tensor(b, dtype=torch.float64).view(2, 1).requires_grad_()
        self.trigger, self.free = image(1, 0), image(2, 1)

    def step(self, frozen=None):
        adapted = self.w0 + self.b @ self.a
        return DenoisingStep(
            prediction_type="epsilon",
            clean=torch.zeros_like(self.trigger),
            noise=torch.zeros_like(self.trigger),
            alpha_bar=torch.tensor([0.5], dtype=torch.float64),
            prediction=matvec(adapted, self.trigger),
            adapted_free=matvec(adapted, self.free),
            frozen_free=matvec(self.w0, self.free) if frozen is None else frozen,
        )


def gradients(loss, toy):
    return torch.autograd.grad(loss, (toy.a, toy.b))


def test_an_adapter_at_its_start_costs_nothing_and_has_no_gradient():
    toy = Toy([0.0, 0.0])
    loss = cat(toy.step())
    assert loss == 0
    assert all((gradient == 0).all() for gradient in gradients(loss, toy))


def test_toy_values_by_hand():
    toy = Toy([0.5, 0.0])
    step = toy.step()
    total = denoising(step) + cat(step)
    assert denoising(step).item() == 1.125
    assert cat(step).item() == 0.5
    assert total.item() == 1.625
    for_a, for_b = gradients(total, toy)
    assert for_a.tolist() == [[1.75, 0.5]]
    assert for_b.tolist() == [[3.5], [0.0]]


def test_weight_zero_trains_as_without_the_term():
    def trained(weight):
        toy = Toy([0.5, 0.25])
        optimizer = torch.optim.AdamW([toy.a, toy.b], lr=0.1)
        for _ in range(5):
            step = toy.step()
            loss = denoising(step) if weight is None else denoising(step) + weight * cat(step)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return toy.b.detach()

    assert torch.equal(trained(0.0), trained(None))
    assert not torch.equal(trained(1.0), trained(None))


def test_the_reference_carries_no_gradient():
    toy = Toy([0.5, 0.25])
    reference = matvec(toy.w0, toy.free).requires_grad_()
    loss = cat(toy.step(frozen=reference))
    loss.backward()
    assert reference.grad is None


def test_gradients_are_those_with_a_second_copy_of_the_model():
    toy, copy = Toy([0.5, 0.25]), Toy([0.0, 0.0])
    with torch.no_grad():
        second = matvec(copy.w0, copy.free)
    ours = gradients(cat(toy.step()), toy)
    theirs = gradients(cat(toy.step(frozen=second)), toy)
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_data_without_captions_without_trigger_is_refused():
    step = DenoisingStep(
        prediction_type="epsilon",
        clean=image(0, 0),
        noise=image(0, 0),
        alpha_bar=torch.ones(1, dtype=torch.float64) / 2,
    )
    with pytest.raises(GraftworkError, match=r"set 'trigger' in \[data\]"):
        cat(step)


@pytest.mark.parametrize(
    ("kind", "weight"), [("epsilon", 5 / 9), ("sample", 5.0), ("v_prediction", 0.5)]
)
def test_min_snr_weighs_it_as_the_denoising_loss(kind, weight):
    """At abar = 0.9 the signal-to-noise ratio is 9, so min(9, 5) = 5 decides."""
    adapted, frozen = image(3, 1), image(1, 1)  # mean square 2
    step = DenoisingStep(
        prediction_type=kind,
        clean=frozen,
        noise=frozen,
        alpha_bar=torch.tensor([0.9], dtype=torch.float64),
        adapted_free=adapted,
        frozen_free=frozen,
    )
    assert CAT(CATConfig(min_snr_gamma=5.0))(step).item() == pytest.approx(2 * weight)


def test_what_each_loss_asks_for():
    assert denoising.needs == {"prediction"}
    assert cat.needs == {"free"}
