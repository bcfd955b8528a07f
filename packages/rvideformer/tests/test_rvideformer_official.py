"""The published checkpoints' keys, one by one, and what is not theirs."""

import pytest
import torch

from graftwork.backbones.rvideformer.config import VARIANTS, RViDeformerConfig
from graftwork.backbones.rvideformer.merging import merge
from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.backbones.rvideformer.official import (
    load_official_state_dict,
    official_names,
    read_official,
)
from graftwork.core.errors import GraftworkError


@pytest.fixture(scope="module")
def state(plain, small):
    torch.manual_seed(0)
    return plain.PlainRViDeformer(**small).state_dict()


@pytest.fixture
def model(small):
    return RViDeformer(RViDeformerConfig(**small))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_key_of_every_variant_has_one_place(plain, name):
    config = VARIANTS[name].as_dict()
    with torch.device("meta"):
        sizes = {key: config[key] for key in vars(plain.options())}
        theirs = dict(plain.PlainRViDeformer(**sizes).named_parameters())
        ours = dict(RViDeformer(VARIANTS[name]).named_parameters())
    names = official_names(RViDeformer(VARIANTS[name]).to("meta"))
    assert set(names) == set(ours)
    placed = [each for parts in names.values() for each in parts]
    assert sorted(placed) == sorted(theirs)
    for key, parts in names.items():
        assert sum(theirs[each].numel() for each in parts) == ours[key].numel()


def test_each_tensor_arrives_where_it_belongs(model, state):
    load_official_state_dict(model, state)
    own = model.state_dict()
    block, theirs = "stages.0.temporal.blocks.1", "stage1.residual_group1.blocks.1"
    q, k, v, pooled_q, coarse_q = own[f"{block}.attn.window_qkv.weight"].split([12, 12, 12, 6, 6])
    assert torch.equal(torch.cat([q, k, v]), state[f"{theirs}.attn.hi_qkv_self.weight"])
    assert torch.equal(pooled_q, state[f"{theirs}.attn.lo_q.weight"])
    assert torch.equal(coarse_q, state[f"{theirs}.attn.g_q_self.weight"])
    mutual = own[f"{block}.attn.mutual.window_qkv.bias"].split([36, 6])
    assert torch.equal(mutual[0], state[f"{theirs}.attn.hi_qkv_mut.bias"])
    assert torch.equal(mutual[1], state[f"{theirs}.attn.g_q_mut.bias"])
    conv = state["stage8.1.conv.weight"]
    assert conv.shape == (18, 18, 1, 3, 3)
    assert torch.equal(own["refinement.0.conv.conv.weight"], conv[:, :, 0])
    assert torch.equal(own["stages.6.resize.linear.weight"], state["stage7.reshape.2.weight"])


def test_keys_of_parallel_training_and_other_names_are_understood(model, state):
    other = {f"module.{key.replace('lo_q.', 'lo_q_self.')}": value for key, value in state.items()}
    with pytest.raises(GraftworkError, match=r"attn\.lo_q\.weight' is missing"):
        load_official_state_dict(model, other)
    load_official_state_dict(model, other, renames={r"lo_q_self\.": "lo_q."})


def test_what_is_missing_left_over_or_misshapen_is_named(model, state):
    without = {key: value for key, value in state.items() if key != "stage3.linear2.bias"}
    cases = [
        (without, r"'stage3\.linear2\.bias' is missing"),
        ({**state, "stage3.pa_deform.weight": torch.zeros(1)}, r"'stage3\.pa_deform\.weight'"),
        ({**state, "conv_last.bias": torch.zeros(3)}, r"conv_last\.bias: shape \[3\]"),
    ]
    for broken, told in cases:
        with pytest.raises(GraftworkError, match=told):
            load_official_state_dict(model, broken, place="T.pth")


@pytest.mark.parametrize("leaf", ["relative_position_index", "position_bias"])
def test_positions_in_another_order_are_refused(model, state, leaf):
    key = next(key for key in state if key.endswith(leaf))
    flipped = {**state, key: state[key].flip(-1)}
    with pytest.raises(GraftworkError, match="orders positions in another way"):
        load_official_state_dict(model, flipped)


def test_the_merged_form_is_not_what_a_checkpoint_has(tiny, state):
    with pytest.raises(GraftworkError, match="training form"):
        load_official_state_dict(merge(tiny()), state)


class Loud:
    def __reduce__(self):
        return print, ("a file ran code",)


def test_a_pickled_module_is_refused_and_a_state_dict_is_read(state, tmp_path, capsys):
    path = tmp_path / "model.pth"
    torch.save(Loud(), path)
    with pytest.raises(GraftworkError, match="holds more than tensors"):
        read_official(path)
    assert not capsys.readouterr().out
    torch.save({"epoch": 3}, path)
    with pytest.raises(GraftworkError, match="is no state dict"):
        read_official(path)
    with pytest.raises(GraftworkError, match="cannot be read"):
        read_official(tmp_path / "none.pth")
    torch.save(state, path)
    assert read_official(path).keys() == state.keys()
