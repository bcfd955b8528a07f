"""Weight decay spares what adapters exempt, and nothing else."""

import torch
from torch import nn

from graftwork.core.records import AdapterSpec
from graftwork.nn.grafting import assemble
from graftwork.nn.match import all_sites
from graftwork.testing.toy import ToyAdapter, ToyAdapterConfig
from graftwork.train.optimizer import make_optimizer
from graftwork.train.settings import OptimizerSettings


class Scaled(ToyAdapter):
    """A toy with exempt parameters, one of them in a list."""

    no_decay = frozenset({"scale", "cores"})

    def __init__(self, site, settings):
        super().__init__(site, settings)
        self.scale = nn.Parameter(torch.ones(3))
        self.cores = nn.ParameterList([torch.ones(2)])


def decayed_by_one_step(adapter_class):
    """Which parameters change in a step without gradients."""
    model = nn.Sequential(nn.Linear(6, 4))
    adapter = adapter_class(all_sites(model)["0"], ToyAdapterConfig())
    nn.init.ones_(adapter.up)
    spec = AdapterSpec(name="x", target="x:X", summary="x", family="weight")
    handle = assemble(model, spec, None, {"0": adapter}, name="x", weight=1.0)
    optimizer = make_optimizer({"x": handle}, OptimizerSettings(lr=0.1, weight_decay=0.5))
    before = {name: p.detach().clone() for name, p in handle.named_parameters()}
    for parameter in handle.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    after = dict(handle.named_parameters())
    return optimizer, {name for name, old in before.items() if not torch.equal(after[name], old)}


def test_exempt_parameters_keep_their_values():
    optimizer, changed = decayed_by_one_step(Scaled)
    assert changed == {"0.down", "0.up"}
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2]


def test_all_decay_by_default_in_one_group():
    optimizer, changed = decayed_by_one_step(ToyAdapter)
    assert changed == {"0.down", "0.up"}
    assert len(optimizer.param_groups) == 1
