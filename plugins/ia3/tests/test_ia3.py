"""IA3 by the kit, its inputs by a dense product, and PEFT's files by PEFT."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, graft, load_graft
from graftwork.testing import AdapterSuite

INPUTS = ("ff.last", "conv")
EXACT = {"atol": 1e-6, "rtol": 1e-5}


class TestIA3(AdapterSuite):
    name = "ia3"


class TestIA3OfInputs(AdapterSuite):
    name = "ia3"
    settings = {"feedforward": ["*"]}


class Net(nn.Module):
    """A convolution and a feed-forward block; only what scales its outputs has no bias."""

    def __init__(self, bias: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3)
        self.point = nn.Conv2d(8, 6, 1, bias=False)
        layers = OrderedDict(
            first=nn.Linear(6, 10, bias=bias), act=nn.Tanh(), last=nn.Linear(10, 4)
        )
        self.ff = nn.Sequential(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.ff(self.point(torch.tanh(self.conv(x))).mean((2, 3)))


def images() -> Tensor:
    return torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(1))


def strong(model: nn.Module, sites: Any = "*", feedforward: Any = INPUTS) -> Graft:
    handle = graft(model, "ia3", {"feedforward": list(feedforward)}, sites=sites)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in handle.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return handle


def test_inputs_are_scaled_before_the_layer() -> None:
    model, plain = Net(), Net()
    handle = strong(model, ["conv", "ff.last"])
    x = images()
    images_scaled = x * handle.sites["conv"].scale.detach().view(1, 3, 1, 1)
    hidden = plain.point(torch.tanh(plain.conv(images_scaled))).mean((2, 3))
    hidden = torch.tanh(plain.ff.first(hidden)) * handle.sites["ff.last"].scale.detach()
    torch.testing.assert_close(model(x), plain.ff.last(hidden))


def test_a_pattern_for_no_site_is_refused() -> None:
    with pytest.raises(GraftworkError, match="'up' matches none of the graft's sites"):
        graft(Net(), "ia3", {"feedforward": ["up"]}, sites="*")


@pytest.mark.parametrize("weight", [1.0, 0.4])
def test_peft_loads_ours_and_so_do_we(weight: float, tmp_path: Path) -> None:
    pytest.importorskip("graftwork.formats")
    peft = pytest.importorskip("peft")
    model, x = Net(), images()
    handle = strong(model)
    handle.weight = weight
    assert (model(x) - Net()(x)).abs().max() > 0.01, "the graft must show"
    handle.export(tmp_path / "out", format="peft")
    theirs = peft.PeftModel.from_pretrained(Net(), str(tmp_path / "out"))
    torch.testing.assert_close(theirs(x), model(x), **EXACT)
    torch.testing.assert_close(theirs.merge_and_unload()(x), model(x), **EXACT)
    again = Net()
    loaded = load_graft(again, tmp_path / "out")
    assert (loaded.method, set(loaded.settings.feedforward)) == ("ia3", set(INPUTS))
    torch.testing.assert_close(again(x), model(x), **EXACT)


@pytest.mark.parametrize("named", [list(INPUTS), "ff.last|conv"], ids=["ends", "pattern"])
def test_we_load_what_peft_saves(named: Any, tmp_path: Path) -> None:
    pytest.importorskip("graftwork.formats")
    peft = pytest.importorskip("peft")
    targets = ["conv", "point", "ff.first", "ff.last"]
    config = peft.IA3Config(target_modules=targets, feedforward_modules=named)
    theirs, x = peft.get_peft_model(Net(), config), images()
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.requires_grad:
                parameter.add_(0.5 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    ours = Net()
    load_graft(ours, tmp_path)
    assert (theirs(x) - Net()(x)).abs().max() > 0.01
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)


def test_a_bias_that_peft_would_scale_is_refused_both_ways(tmp_path: Path) -> None:
    pytest.importorskip("graftwork.formats")
    peft = pytest.importorskip("peft")
    with pytest.raises(GraftworkError, match=r"scales the layer's bias too, so 'ff\.first'"):
        strong(Net(bias=True)).export(tmp_path / "out", format="peft")
    assert not (tmp_path / "out").exists()
    config = peft.IA3Config(target_modules=["ff.first"], feedforward_modules=[])
    peft.get_peft_model(Net(bias=True), config).save_pretrained(tmp_path / "theirs")
    model = Net(bias=True)
    with pytest.raises(GraftworkError, match=r"scales the layer's bias too, so 'ff\.first'"):
        load_graft(model, tmp_path / "theirs")
    assert model.state_dict().keys() == Net(bias=True).state_dict().keys()


def test_what_peft_has_no_ia3_for(tmp_path: Path) -> None:
    pytest.importorskip("graftwork.formats")
    layers = {
        "kind embedding": nn.Embedding(5, 4),
        "convolution in groups": nn.Conv2d(4, 4, 3, groups=2),
        "of a packed projection": nn.MultiheadAttention(4, 2),
    }
    for says, layer in layers.items():
        handle = strong(nn.Sequential(layer), feedforward=["*"])
        with pytest.raises(GraftworkError, match=says):
            handle.export(tmp_path / "out", format="peft")
