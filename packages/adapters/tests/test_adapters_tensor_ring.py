"""Tensor rings against dense einsums and the numbers of the reference notes."""

import math

import pytest
import torch

from graftwork.adapters import ring_chain, ring_steps
from graftwork.adapters.factorising import factorise
from graftwork.adapters.ring_identity import broken_identity_cores, identity_cores
from graftwork.adapters.ring_product import ring_product
from graftwork.adapters.tensor_ring import ring_factors

DOUBLE = torch.float64
ROWS, COLS, RING = "abcde", "vwxyz", "ijklm"


def dense(cores):
    """T by one einsum over all indices."""
    terms = [f"{ROWS[d]}{COLS[d]}{RING[d]}{RING[(d + 1) % len(cores)]}" for d in range(len(cores))]
    whole = torch.einsum(f"{','.join(terms)}->{ROWS[: len(cores)]}{COLS[: len(cores)]}", *cores)
    return whole.reshape(math.prod(len(core) for core in cores), -1)


@pytest.fixture(params=["chain", "formed"])
def way(request, monkeypatch):
    """Both ways to multiply: core by core in several blocks, and by T itself."""
    monkeypatch.setattr(ring_steps, "_PASSES", -math.inf if request.param == "chain" else math.inf)
    monkeypatch.setattr(ring_chain, "_BLOCK", 1)
    return request.param


@pytest.mark.parametrize(
    ("sizes", "ring"),
    [
        ([(2, 3), (3, 2)], 1),
        ([(2, 3), (3, 2), (4, 5)], 2),
        ([(2, 2), (1, 1), (3, 4)], 3),
        ([(2, 2), (3, 3), (2, 3), (3, 2)], 2),
    ],
)
def test_product_and_gradients(sizes, ring, way):
    torch.manual_seed(0)
    cores = [torch.randn(i, j, ring, ring, dtype=DOUBLE, requires_grad=True) for i, j in sizes]
    x = torch.randn(70, math.prod(j for _, j in sizes), dtype=DOUBLE, requires_grad=True)
    actual, expected = ring_product(x, cores), x @ dense(cores).T
    torch.testing.assert_close(actual, expected)
    projection = torch.randn_like(expected)
    ours = torch.autograd.grad(actual, [x, *cores], projection)
    theirs = torch.autograd.grad(expected, [x, *cores], projection)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_rank_one_is_a_kronecker_product(way):
    """O3.2: with R = 1, T = A1 kron (A2 kron A3)."""
    torch.manual_seed(0)
    cores = [torch.randn(size, size, 1, 1, dtype=DOUBLE) for size in (2, 3, 4)]
    first, second, third = (core[:, :, 0, 0] for core in cores)
    expected = torch.kron(first, torch.kron(second, third))
    torch.testing.assert_close(ring_product(torch.eye(24, dtype=DOUBLE), cores).T, expected)


def test_indices_are_big_endian(way):
    """O3.3: A^d[i,j,r,s] = (d+1)(1+i) + 2j - 3r + s."""
    index = torch.arange(2, dtype=DOUBLE)
    i, j, r, s = torch.meshgrid(index, index, index, index, indexing="ij")
    cores = [(d + 1) * (1 + i) + 2 * j - 3 * r + s for d in range(2)]
    assert ring_product(torch.eye(4, dtype=DOUBLE), cores).T.tolist() == [
        [-6, -6, 2, 18],
        [-6, -6, 18, 34],
        [-2, 6, 6, 30],
        [6, 14, 30, 54],
    ]


def test_products_of_rings_are_rings():
    """O3.4, proposition 2: T(A) T(B)^T = T(C), C^d[i,j] = sum_l A^d[i,l] kron B^d[j,l]."""
    torch.manual_seed(0)
    sizes = (2, 3, 4)
    first = [torch.randn(size, size, 2, 2, dtype=DOUBLE) for size in sizes]
    second = [torch.randn(size, size, 3, 3, dtype=DOUBLE) for size in sizes]
    joint = [
        torch.einsum("ilrs,jltu->ijrtsu", a, b).reshape(len(a), len(a), 6, 6)
        for a, b in zip(first, second, strict=True)
    ]
    expected = dense(first) @ dense(second).T
    assert (dense(joint) - expected).abs().max() < 1e-12
    ours = ring_product(torch.eye(24, dtype=DOUBLE), joint).T
    assert (ours - expected).abs().max() < 1e-12


@pytest.mark.parametrize("start", [identity_cores, broken_identity_cores])
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_start_is_exactly_the_identity(start, rank, way):
    """O3.1, in single precision and bit for bit."""
    cores = start((4, 3, 5), rank)
    assert torch.equal(ring_product(torch.eye(60), cores), torch.eye(60))


@pytest.mark.parametrize("rank", [3, 5, 7])
def test_broken_start_is_the_identity_at_ranks_that_have_no_exact_reciprocal(rank):
    for seed in range(20):
        torch.manual_seed(seed)
        cores = broken_identity_cores((2, 3, 2), rank)
        assert torch.equal(ring_product(torch.eye(12), cores), torch.eye(12))


def test_broken_start_has_unequal_slices():
    torch.manual_seed(0)
    first, *others = broken_identity_cores((2, 2, 2), 3)
    assert len(first[0, 0].unique()) > 1
    assert all(len(core[0, 0].unique()) > 6 for core in others)


def test_vector_rings():
    """(B A)[i, j] = trace(B1[i1] .. BD[iD] C1[j1] .. CD[jD])."""
    torch.manual_seed(0)
    outputs = [torch.randn(size, 2, 2, dtype=DOUBLE) for size in (2, 3, 2)]
    inputs = [torch.randn(size, 2, 2, dtype=DOUBLE) for size in (3, 2)]
    down, up = ring_factors(outputs, inputs)
    assert (down.shape, up.shape) == ((4, 6), (12, 4))
    expected = torch.einsum("aij,bjk,ckl,dlm,emi->abcde", *outputs, *inputs).reshape(12, 6)
    torch.testing.assert_close(up @ down, expected)


@pytest.mark.parametrize(
    ("size", "factors"),
    [
        (320, (4, 8, 10)),
        (640, (8, 8, 10)),
        (768, (8, 8, 12)),
        (1280, (8, 10, 16)),
        (2048, (8, 16, 16)),
        (320 * 9, (10, 16, 18)),
        (12, (2, 2, 3)),
        (7, (1, 1, 7)),
        (1, (1, 1, 1)),
    ],
)
def test_factorisations(size, factors):
    """Those of the published code, and ours where it has none."""
    assert factorise(size) == factors


def test_given_factorisation_comes_first():
    assert factorise(320, [(2, 3), (5, 64)]) == (5, 64)
    assert factorise(6, [(2, 3), (5, 64)]) == (2, 3)
