"""A gain and an offset for every channel, against the layer written out."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft, load_graft

DOUBLE = torch.float64
LAYERS = {
    "linear": (lambda: nn.Linear(5, 3), (2, 7, 5), (1, 1, 3)),
    "conv2d": (lambda: nn.Conv2d(4, 4, 1, groups=4), (2, 4, 6, 6), (1, 4, 1, 1)),
    "conv1d without bias": (lambda: nn.Conv1d(3, 6, 3, bias=False), (2, 3, 8), (1, 6, 1)),
    "layer norm": (lambda: drawn(nn.LayerNorm(5)), (2, 7, 5), (1, 1, 5)),
    "rms norm": (lambda: drawn(nn.RMSNorm(5)), (2, 7, 5), (1, 1, 5)),
}


def drawn(norm: nn.Module) -> nn.Module:
    """A norm with a weight and a bias that are not those of the start."""
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm


@pytest.mark.parametrize("case", LAYERS)
def test_it_is_one_plus_g_times_wx_plus_b_plus_o(case: str) -> None:
    torch.manual_seed(0)
    make, shape, over_channels = LAYERS[case]
    layer = make().double()
    x = torch.randn(shape, dtype=DOUBLE)
    own = getattr(layer, "bias", None)
    bias = 0 if own is None else own.detach().view(over_channels)
    plain = layer(x).detach()
    model = nn.Sequential(layer)
    handle = graft(model, "affine", {}, sites="*", dtype=DOUBLE)
    assert torch.allclose(model(x), plain, atol=1e-14)  # torch rounds a norm and its bias at once
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

    with pytest.raises(GraftworkError, match=r"gain: neither it nor offset trains everywhere"):
        parse(AffineConfig, {"gain": False, "offset": False}, "adapter")


def test_after_norms_alone_it_is_bias_and_norm_tuning() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 5), drawn(nn.LayerNorm(5)), nn.Linear(5, 5)).double()
    tuned = copy.deepcopy(model)
    handle = graft(model, "affine", {"gain": "norms"}, sites="*", dtype=DOUBLE)
    assert set(handle.state_dict()) == {"0.offset", "1.gain", "1.offset", "2.offset"}
    values = {key: torch.randn(5, dtype=DOUBLE) for key in handle.state_dict()}
    handle.load_state_dict(values)
    with torch.no_grad():
        for key, value in values.items():
            layer = tuned[int(key[0])]
            if key.endswith("gain"):
                layer.weight.mul_(1 + value)
            else:
                layer.bias.add_(value)
    x = torch.randn(4, 5, dtype=DOUBLE)
    assert torch.allclose(model(x), tuned(x), atol=1e-12)


def test_it_is_saved_and_loaded_on_a_norm(tmp_path: Path) -> None:
    model = nn.Sequential(drawn(nn.LayerNorm(5)))
    handle = graft(model, "affine", {}, sites="*")
    handle.load_state_dict({"0.gain": torch.randn(5), "0.offset": torch.randn(5)})
    x = torch.randn(3, 5)
    expected = model(x)
    handle.save(tmp_path / "saved")
    handle.detach()
    load_graft(model, tmp_path / "saved")
    assert torch.equal(model(x), expected)
