"""Learned tokens: rows that an embedding gains."""

import pytest
import torch
from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import graft, load_graft


@pytest.fixture
def model():
    return nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 2))


def on(model, **options):
    return graft(model, "vectors", {"tokens": 2}, sites="0", **options)


def test_new_ids_give_the_vectors_and_old_ones_the_table(model):
    table = model[0].weight.detach().clone()
    handle = on(model)
    adapter = handle.sites["0"]
    assert adapter.first_id == 7
    embedded = model[0](torch.tensor([[3, 7], [8, 0]]))
    assert torch.equal(embedded[0, 0], table[3])
    assert torch.equal(embedded[0, 1], adapter.table[0])
    assert torch.equal(embedded[1, 0], adapter.table[1])
    embedded.sum().backward()
    assert adapter.table.grad.abs().sum() == 8


def test_two_grafts_number_their_tokens_in_turn(model):
    first, second = on(model, name="a"), on(model, name="b")
    assert second.sites["0"].first_id == 9
    embedded = model[0](torch.arange(11))
    assert torch.equal(embedded[7:9], first.sites["0"].table)
    assert torch.equal(embedded[9:], second.sites["0"].table)


def test_tokens_live_beside_a_weight_adapter(model):
    table = model[0].weight.detach().clone()
    low, tokens = graft(model, "low-rank", sites="0", name="low"), on(model, name="tokens")
    adapter = low.sites["0"]
    embedded = model[0](torch.arange(9))
    torch.testing.assert_close(embedded[:7], table + (adapter.up @ adapter.down).T)
    assert torch.equal(embedded[7:], tokens.sites["0"].table)


def test_disabled_tokens_leave_the_table(model):
    ids = torch.arange(7)
    plain = model(ids)
    handle = on(model)
    with handle.disabled():
        assert torch.equal(model(ids), plain)


def test_saved_tokens_are_loaded(model, tmp_path):
    handle = on(model)
    ids = torch.tensor([1, 8])
    expected = model(ids)
    handle.save(tmp_path / "tokens")
    handle.detach()
    loaded = load_graft(model, tmp_path / "tokens")
    assert loaded.sites["0"].first_id == 7
    assert torch.equal(model(ids), expected)


def test_tokens_are_not_merged(model):
    with pytest.raises(GraftworkError, match="cannot be merged"):
        on(model).merge()
