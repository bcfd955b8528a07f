"""A gain and an offset for every channel, against the layer written out."""

import pytest
import torch
from torch import nn

from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft

DOUBLE = torch.float64
LAYERS = {
    "linear": (lambda: nn.Linear(5, 3), (2, 7, 5), (1, 1, 3)),
    "conv2d": (lambda: nn.Conv2d(4, 4, 1, groups=4), (2, 4, 6, 6), (1, 4, 1, 1)),
    "conv1d without bias": (lambda: nn.Conv1d(3, 6, 3, bias=False), (2, 3, 8), (1, 6, 1)),
}


@pytest.mark.parametrize("case", LAYERS)
def test_it_is_one_plus_g_times_wx_plus_b_plus_o(case: str) -> None:
    torch.manual_seed(0)
    make, shape, over_channels = LAYERS[case]
    layer = make().double()
    x = torch.randn(shape, dtype=DOUBLE)
    bias = 0 if layer.bias is None else layer.bias.detach().view(over_channels)
    plain = layer(x).detach()
    model = nn.Sequential(layer)
    handle = graft(model, "affine", {}, sites="*", dtype=DOUBLE)
    assert torch.equal(model(x), plain)
    gain, offset = (torch.randn(over_channels, dtype=DOUBLE) for _ in range(2))
    handle.load_state_dict({"0.gain": gain.flatten(), "0.offset": offset.flatten()})
    expected = (1 + gain) * (plain - bias) + bias + offset
    assert torch.allclose(model(x), expected, atol=1e-12)


def test_it_counts_two_numbers_a_channel_or_one() -> None:
    for settings, count in (({}, 8), ({"gain": False}, 4), ({"offset": False}, 4)):
        model = nn.Sequential(nn.Conv2d(4, 4, 1, groups=4))
        assert graft(model, "affine", settings, sites="*").num_parameters() == count


def test_nothing_to_train_is_refused() -> None:
    from graftwork.adapters.affine import AffineConfig

    with pytest.raises(GraftworkError, match=r"gain: neither gain nor offset trains; set one"):
        parse(AffineConfig, {"gain": False, "offset": False}, "adapter")
