"""The fingerprint: cheap, and different when the weights are."""

import torch
from torch import nn

from graftwork.nn import fingerprint, graft


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 3))


def test_same_weights_same_fingerprint():
    assert fingerprint(build()) == fingerprint(build())
    assert fingerprint(build().bfloat16().float()) == fingerprint(build().bfloat16())


def test_other_weights_names_or_shapes_differ():
    model, moved, renamed = build(), build(), nn.ModuleDict({"a": build()})
    with torch.no_grad():
        moved[1].bias[2] += 1
    others = [moved, renamed, nn.Sequential(build()[0])]
    assert all(fingerprint(other) != fingerprint(model) for other in others)


def test_adapters_do_not_count():
    model = build()
    before = fingerprint(model)
    handle = graft(model, "low-rank", sites="*")
    assert fingerprint(model) == before
    handle.merge()
    assert fingerprint(model) != before


def test_the_last_value_of_a_large_table_can_be_read():
    """Indices of 38 million values do not fit float32's integers."""
    model = nn.Embedding(49408, 768, _weight=torch.zeros(1).expand(49408, 768))
    assert fingerprint(model)


def test_meta_and_empty_parameters_have_one():
    with torch.device("meta"):
        meta = nn.Linear(3, 3)
    assert fingerprint(meta)
    assert fingerprint(nn.ParameterDict({"none": torch.empty(0, 3)}))
