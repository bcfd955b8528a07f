"""A pattern names sites, or is an error that says what it could have meant."""

import pytest
import torch
from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import graft
from graftwork.nn.match import all_sites, match_sites


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.to_q = nn.Linear(4, 4)
        self.to_k = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)


@pytest.fixture
def model():
    return nn.ModuleDict({"down": nn.ModuleList([Block(), Block()]), "up": Block()})


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ("up.to_q", ["up.to_q"]),
        ("*.to_q", ["down.0.to_q", "down.1.to_q", "up.to_q"]),
        ("down.[01].to_k", ["down.0.to_k", "down.1.to_k"]),
        (["up.*", "down.0.to_q"], ["down.0.to_q", "up.to_q", "up.to_k"]),  # the model's order
        (["*", "!down.*"], ["up.to_q", "up.to_k"]),
        (["!*.to_k", "up.*"], ["up.to_q"]),
    ],
)
def test_patterns(model, patterns, names):
    assert list(match_sites(model, patterns)) == names


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ("*.to_w", "'\\*.to_w' matches no site; nearest: .*to_q"),
        (["*.to_q", "*.to_kk"], "'\\*.to_kk' matches no site; nearest: .*to_k"),
        (["*", "!mid.*"], "'mid.\\*' matches no site"),
        (["up.*", "!up.*"], "leave no site"),
        ("up", "'up' matches 'up', which is not a layer.*'up.\\*'"),
        ("*.norm", "which is not a layer"),
        ("attention", "nearest: "),
    ],
)
def test_a_pattern_without_a_match_is_an_error(model, patterns, message):
    with pytest.raises(GraftworkError, match=message):
        match_sites(model, patterns)


def test_a_model_without_layers_is_an_error():
    with pytest.raises(GraftworkError, match="no layer to adapt"):
        match_sites(nn.Sequential(nn.ReLU()), "*")


def test_a_second_graft_does_not_see_adapters(model):
    graft(model, "low-rank", sites="*")
    assert list(all_sites(model)) == [
        f"{block}.{layer}" for block in ("down.0", "down.1", "up") for layer in ("to_q", "to_k")
    ]
    handle = graft(model, "low-rank", sites="*", name="second")
    assert list(handle.sites) == list(all_sites(model))


def test_adapters_made_of_layers_are_not_sites_either(model):
    handle = graft(model, "low-rank", sites="up.to_q")
    handle.sites["up.to_q"].inner = nn.Linear(4, 4)
    assert "up.to_q.grafts.default.weight.inner" not in all_sites(model)


def test_no_pattern_and_no_default_is_an_error(model):
    with pytest.raises(GraftworkError, match="no default is known"):
        graft(model, "low-rank")


def test_the_default_sites_hook_answers(model, manager):
    from graftwork.core import hookimpl

    class Plugin:
        @hookimpl
        def default_sites(self, backbone, adapter):
            return "up.*" if adapter == "low-rank" else None

    manager.register(Plugin(), "mine")
    assert list(graft(model, "low-rank").sites) == ["up.to_q", "up.to_k"]


def test_matching_is_fast_on_a_large_model():
    with torch.device("meta"):
        model = nn.ModuleList([Block() for _ in range(500)])
    assert len(match_sites(model, "*.to_q")) == 500
