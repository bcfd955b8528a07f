"""NMTune's terms against their definitions on dense matrices in float64, and known values."""

import math

import pytest
import torch
from torch import Tensor

from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.labels.gram import Gram
from graftwork.labels.step import LabelStep
from graftwork.losses.nmtune import NMTune, consistency

DOUBLE = torch.float64
Z = torch.tensor([[1, 0, 0], [0, 2, 0], [0, 0, 3], [1, 1, 1]], dtype=DOUBLE)
F = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 2, 3]], dtype=DOUBLE)


def loss(**settings: object) -> NMTune:
    record = registry.find("losses", "nmtune")
    return record.load()(parse(record.settings_class(), settings, "nmtune"))


def step(features: Tensor, frozen: Tensor) -> LabelStep:
    rows = torch.arange(len(features))
    return LabelStep(
        labels=rows, indices=rows, examples=len(rows), features=features, frozen_features=frozen
    )


def direct(z: Tensor, f: Tensor, *, paper: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The three terms as the equations stand, by the covariance itself and a whole SVD."""
    dims = z.shape[1]
    gap = z / z.norm(dim=1, keepdim=True) - f / f.norm(dim=1, keepdim=True)
    consistent = gap.square().sum(dim=1).mean() if paper else gap.square().mean()
    covariance = torch.cov(z.T, correction=1)
    off = covariance - torch.diag(torch.diag(covariance))
    values = torch.linalg.svd(z, full_matrices=False)[1]
    shares = values / values.sum()
    dominant = -shares[0] if paper else -shares[:5].mean()
    return consistent, off.square().sum() / dims, dominant


def test_known_values() -> None:
    gram = Gram.of(Z)
    values = gram.singular_values()
    shares = values / values.sum()
    assert float(-(shares * shares.log()).sum()) == pytest.approx(1.0346084, abs=1e-7)
    assert float(-shares[0].log()) == pytest.approx(0.7384909, abs=1e-7)
    assert float(gram.covariance()) == pytest.approx(0.3888889, abs=1e-7)
    assert float(gram.share(1)) == pytest.approx(0.4778345, abs=1e-7)
    assert float(gram.share(5)) == pytest.approx(1 / 3, abs=1e-12)  # there are three
    assert float(consistency(Z, F, mean=True)) == pytest.approx(0.1588099, abs=1e-7)
    assert float(consistency(Z, F, mean=False)) == pytest.approx(0.4764298, abs=1e-7)


def test_orthonormal_columns() -> None:
    q = torch.linalg.qr(torch.randn(32, 8, dtype=DOUBLE))[0]
    assert float(Gram.of(q).share(1)) == pytest.approx(1 / 8)
    assert float(Gram.of(q).share(5)) == pytest.approx(1 / 8)


def test_rank_one() -> None:
    z = torch.outer(torch.arange(1.0, 7.0), torch.arange(1.0, 9.0)).double()
    assert float(Gram.of(z).share(1)) == pytest.approx(1.0)
    assert float(Gram.of(z).share(5)) == pytest.approx(0.2)


def test_equal_features_cost_no_consistency() -> None:
    assert float(loss(covariance=0.0, dominance=0.0)(step(Z, Z))) == 0.0


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (5, 5), (40, 64), (64, 40), (2, 9), (64, 63)])
@pytest.mark.parametrize("paper", [False, True])
def test_the_terms_are_their_equations(shape: tuple[int, int], paper: bool) -> None:
    generator = torch.Generator().manual_seed(sum(shape))
    z = torch.randn(shape, generator=generator, dtype=DOUBLE) + 2.0
    f = torch.randn(shape, generator=generator, dtype=DOUBLE)
    reading = "paper" if paper else "code"
    weights = (0.01, 0.01, 0.01) if paper else (1.0, 0.04, 0.001)
    ours, theirs = z.clone().requires_grad_(), z.clone().requires_grad_()
    value = loss(reading=reading)(step(ours, f))
    terms = direct(theirs, f, paper=paper)
    expected = sum((w * term for w, term in zip(weights, terms, strict=True)), z.new_zeros(()))
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
    value.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("term", ["consistency", "covariance", "dominance"])
def test_each_term_has_its_weight(term: str) -> None:
    weights = dict.fromkeys(("consistency", "covariance", "dominance"), 0.0) | {term: 2.5}
    place = list(weights).index(term)
    expected = 2.5 * direct(Z, F, paper=False)[place]
    torch.testing.assert_close(loss(**weights)(step(Z, F)), expected)


@pytest.mark.parametrize("shape", [(48, 96), (96, 48)])
def test_single_precision_keeps_its_digits(shape: tuple[int, int]) -> None:
    """Of rank 4 on a common offset, where a Gram matrix in float32 loses most."""
    generator = torch.Generator().manual_seed(0)
    low = torch.randn(shape[0], 4, generator=generator) @ torch.randn(
        4, shape[1], generator=generator
    )
    z = low + 5.0
    value = loss(reading="paper", consistency=0.0)(step(z, z))
    _, covariance, dominant = direct(z.double(), z.double(), paper=True)
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(float(0.01 * (covariance + dominant)), rel=1e-6)
    share = float(Gram.of(z).share(1))
    assert share == pytest.approx(-float(dominant), rel=1e-6)


def test_a_gram_matrix_in_single_precision_would_not_do() -> None:
    """What float64 is for: square roots of rounding count as singular values."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(256, 4, generator=generator) @ torch.randn(4, 512, generator=generator)
    exact = torch.linalg.svdvals(z.double())
    single = torch.linalg.eigvalsh(z @ z.T).clamp(min=0).sqrt()
    ours = Gram.of(z).singular_values()
    assert abs(float(single.sum() / exact.sum()) - 1) > 1e-3
    assert float(ours.sum()) == pytest.approx(float(exact.sum()), rel=1e-6)


@pytest.mark.parametrize(
    "z",
    [
        torch.zeros(4, 6),
        torch.ones(4, 6),
        torch.eye(6),
        torch.eye(6)[:4],
        torch.cat([torch.eye(5), torch.eye(5)]),
        torch.eye(8) + 1e-7 * torch.arange(64.0).view(8, 8),
        torch.tensor([[1.0, 2.0, 3.0]]),
    ],
)
@pytest.mark.parametrize("reading", ["code", "paper"])
def test_equal_and_missing_singular_values_give_no_nan(z: Tensor, reading: str) -> None:
    z = z.clone().requires_grad_()
    value = loss(reading=reading)(step(z, torch.ones_like(z)))
    value.backward()
    assert value.isfinite()
    assert z.grad is not None
    assert z.grad.isfinite().all()
    assert z.grad.abs().max() < 1e3


def test_the_gradient_is_right_where_singular_values_are_equal() -> None:
    """Largest of two equal ones: the share's derivative along a change that keeps them equal."""
    z = torch.diag(torch.tensor([2.0, 2.0, 1.0], dtype=DOUBLE)).requires_grad_()
    value = Gram.of(z).share(1)
    value.backward()
    along = torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=DOUBLE))
    # d/dt of (2 + t) / (5 + 2 t) at 0.
    assert float((z.grad * along).sum()) == pytest.approx((5 - 4) / 25)


def test_no_gradient_reaches_the_frozen_features() -> None:
    f = F.clone().requires_grad_()
    loss()(step(Z.clone().requires_grad_(), f)).backward()
    assert f.grad is None


def test_features_of_another_width_are_refused() -> None:
    with pytest.raises(GraftworkError, match="gives 2 features for the backbone's 3"):
        loss()(step(Z[:, :2], F))


def test_steps_of_descent_bring_the_spectrum_where_it_is_wanted() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(32, 8, generator=generator, dtype=DOUBLE).requires_grad_()
    before = Gram.of(z.detach())
    term = loss(consistency=0.0, covariance=0.1, dominance=1.0)
    optimizer = torch.optim.Adam([z], lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        term(step(z, z.detach())).backward()
        optimizer.step()
    after = Gram.of(z.detach())
    assert float(after.share(5)) > float(before.share(5))
    assert math.isfinite(float(after.covariance()))
