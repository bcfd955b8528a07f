"""A change of the whole weight, against fine-tuning the weight itself."""

import copy

import torch
from torch import nn

from graftwork.nn import graft
from graftwork.testing import AdapterSuite


class TestFull(AdapterSuite):
    name = "full"


def test_training_it_is_training_the_weight() -> None:
    torch.manual_seed(0)
    layer, x = nn.Sequential(nn.Conv2d(3, 4, 3)), torch.randn(2, 3, 6, 6)
    tuned = copy.deepcopy(layer)
    handle = graft(layer, "full", sites="0")
    for model, parameters in ((layer, handle.parameters()), (tuned, [tuned[0].weight])):
        optimizer = torch.optim.SGD(parameters, lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(layer(x), tuned(x))
    assert handle.num_parameters() == tuned[0].weight.numel()
