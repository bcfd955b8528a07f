"""Heads: the kit's checks, their counts, and Z as a loss sees it."""

import pytest
import torch
from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.labels.head import head_on, watched
from graftwork.nn import graft
from graftwork.testing import AdapterSuite

_LINEAR_ALONE = dict.fromkeys(
    ("conv1d", "conv2d", "conv3d", "embedding", "packed", "attention"),
    "a head takes the place of a plain linear layer",
)


class HeadSuite(AdapterSuite):
    unsupported = _LINEAR_ALONE


class TestLinearHead(HeadSuite):
    name = "linear-head"


class TestMLPHead(HeadSuite):
    name = "mlp-head"
    settings = {"hidden": 9}
    identity_at_start = False


class TestNMTuneHead(HeadSuite):
    name = "nmtune-head"
    identity_at_start = False


class TestNMTuneHeadResidual(HeadSuite):
    name = "nmtune-head"
    settings = {"residual": True, "scale": 0.0}


class Model(nn.Module):
    def __init__(self, dims: int = 6, classes: int = 3) -> None:
        super().__init__()
        self.classifier = nn.Linear(dims, classes, bias=False)
        nn.init.zeros_(self.classifier.weight)

    def forward(self, x):
        return self.classifier(x)


@pytest.mark.parametrize(("dims", "count"), [(1024, 8_402_944), (1536, 18_895_872)])
def test_nmtunes_head_has_the_published_size(dims, count):
    # Of the MLP with its batch norm and scale, as the authors' code builds it.
    with torch.device("meta"):
        model = Model(dims, 2)
        handle = graft(model, "nmtune-head", {"residual": True}, sites="classifier")
    adapter = handle.sites["classifier"]
    classifier = sum(parameter.numel() for parameter in adapter.classifier.parameters())
    assert handle.num_parameters() - classifier == count


def test_nmtunes_head_is_its_equation():
    model = Model()
    handle = graft(
        model, "nmtune-head", {"residual": True, "scale": 0.5}, sites="classifier",
        dtype=torch.float64,
    )  # fmt: skip
    model.double().train()
    x = torch.randn(7, 6, dtype=torch.float64)
    head = handle.sites["classifier"]
    first, norm, _, second = head.transform.layers
    hidden = x @ first.weight.T + first.bias
    hidden = (hidden - hidden.mean(0)) / (hidden.var(0, correction=0) + norm.eps).sqrt()
    hidden = (hidden * norm.weight + norm.bias).clamp(min=0)
    z = x + 0.5 * (hidden @ second.weight.T + second.bias)
    expected = z @ head.classifier.weight.T + head.classifier.bias
    with watched(head_on(model, "classifier")) as seen:
        logits = model(x)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(seen[0], z)
    assert seen[0].requires_grad


def test_a_probe_begins_with_the_classifier_that_there_is():
    model = Model()
    with torch.no_grad():
        model.classifier.weight.copy_(torch.randn(3, 6))
    x = torch.randn(4, 6)
    before = model(x)
    graft(model, "linear-head", sites="classifier")
    torch.testing.assert_close(model(x), before)


def test_a_blank_classifier_gives_a_drawn_start():
    handle = graft(Model(), "linear-head", sites="classifier")
    assert handle.sites["classifier"].classifier.weight.std() > 0.1
    assert not handle.sites["classifier"].classifier.bias.any()


def test_which_head_acts():
    model = Model()
    assert head_on(model, "classifier") is None
    handle = graft(model, "linear-head", sites="classifier")
    assert head_on(model, "classifier") is handle.sites["classifier"]
    with handle.disabled():
        assert head_on(model, "classifier") is None
    graft(model, "mlp-head", sites="classifier", name="other")
    with pytest.raises(GraftworkError, match="2 heads sit on 'classifier'; keep one"):
        head_on(model, "classifier")


def test_one_example_is_too_few_for_batch_norm():
    model = Model().train()
    graft(model, "nmtune-head", sites="classifier")
    with pytest.raises(GraftworkError, match=r"two examples in a step; raise train\.batch"):
        model(torch.randn(1, 6))
