"""Values put into a module, and the collector put off."""

import gc

import pytest
import torch
from torch import nn

from graftwork.nn.assigning import assign
from graftwork.nn.without_collector import without_collector


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        self.fixed = nn.Parameter(torch.empty(4), requires_grad=False)
        self.register_buffer("seen", torch.zeros(3))


def test_assigned_is_what_load_state_dict_gives():
    torch.manual_seed(0)
    values = {key: torch.rand_like(v.float()) for key, v in Nested().state_dict().items()}
    with torch.device("meta"):
        ours, theirs = Nested(), Nested()
    assign(ours, values)
    theirs.load_state_dict(values, assign=True)
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert a.data_ptr() == b.data_ptr() == values[name].data_ptr()
        assert a.requires_grad == b.requires_grad == (name != "fixed")
    buffers = dict(ours.named_buffers())
    assert buffers.keys() == dict(theirs.named_buffers()).keys()
    assert all(buffers[name] is values[name] for name in buffers)


def test_the_collector_is_off_inside_and_as_it_was_after():
    @without_collector()
    def fails():
        assert not gc.isenabled()
        raise ValueError

    assert gc.isenabled()
    with pytest.raises(ValueError):
        fails()
    assert gc.isenabled()
    gc.disable()
    try:
        with without_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
