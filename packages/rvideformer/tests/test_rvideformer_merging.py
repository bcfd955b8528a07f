"""The merged form computes what the training form does, at the edges too; and its file."""

import json

import pytest
import torch
from safetensors.torch import load_file

from graftwork.backbones.rvideformer.blocks import RepConv
from graftwork.backbones.rvideformer.files import load_model, save_model
from graftwork.backbones.rvideformer.merging import merge
from graftwork.core.errors import GraftworkError


@pytest.fixture(scope="module")
def models(pair, small):
    ours, _ = pair(**small)
    return ours, merge(ours)


def apart(one, other, clip):
    with torch.no_grad():
        return (one(clip) - other(clip)).abs().max().item()


def test_merging_changes_nothing(models):
    assert apart(*models, torch.rand(1, 3, 4, 32, 40)) < 2e-6


def test_merging_is_exact_in_float64(pair, small):
    ours = pair(**small)[0].double()
    assert apart(ours, merge(ours), torch.rand(1, 2, 4, 32, 32, dtype=torch.float64)) < 1e-12


def test_one_bias_for_the_whole_map_would_be_wrong(models):
    ours, _ = models
    naive = merge(ours)
    for module in naive.modules():
        if isinstance(module, RepConv):
            module.edge.zero_()
    assert apart(ours, naive, torch.rand(1, 1, 4, 32, 32)) > 1e-2


def test_merging_leaves_the_model_and_its_settings_alone(tiny):
    model = tiny().requires_grad_(False)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    merged = merge(model)
    assert merged.config.form == "merged"
    assert not merged.training
    assert not any(p.requires_grad for p in merged.parameters())
    assert all(torch.equal(before[key], own) for key, own in model.state_dict().items())


def test_a_merged_model_is_not_merged_again(models):
    with pytest.raises(GraftworkError, match="merged form already"):
        merge(models[1])


def test_a_file_holds_the_weights_and_nothing_else(models, tmp_path):
    _, merged = models
    path = tmp_path / "merged.safetensors"
    save_model(merged, path)
    tensors = load_file(path)
    assert all(tensor.is_floating_point() for tensor in tensors.values())
    assert not any(word in key for key in tensors for word in ("index", "fc11", "linear1", "mask"))
    spare = sum(t.numel() for k, t in tensors.items() if k.endswith("edge"))
    assert sum(t.numel() for t in tensors.values()) - spare == sum(
        p.numel() for p in merged.parameters()
    )
    again = load_model(path)
    assert again.config == merged.config
    assert apart(merged, again, torch.rand(1, 2, 4, 32, 32)) == 0


def test_files_that_do_not_fit_are_refused(tiny, tmp_path):
    model = tiny()
    path = tmp_path / "model.safetensors"
    save_model(model, path)
    raw = path.read_bytes()
    path.write_bytes(raw[:-100])
    with pytest.raises(GraftworkError, match=r"cut short .*; copy the model again"):
        load_model(path)
    from graftwork.nn import tensorfile

    settings = {"rvideformer": json.dumps(model.config.as_dict())}
    weights = model.state_dict()
    less = {key: tensor for key, tensor in weights.items() if key != "conv_last.bias"}
    cases = [
        (less, settings, "'conv_last.bias' is missing"),
        ({**weights, "more": torch.zeros(1)}, settings, "'more' has no place"),
        ({**weights, "conv_last.bias": torch.zeros(5)}, settings, r"shape \[5\]"),
        (weights, {}, "no RViDeformer of ours"),
        (weights, {"rvideformer": '{"width": 13}'}, "configuration cannot be read"),
        (weights, {"rvideformer": '{"colour": 1}'}, "unknown setting 'colour'"),
    ]
    for tensors, metadata, told in cases:
        tensorfile.write(path, tensors, metadata)
        with pytest.raises(GraftworkError, match=told):
            load_model(path)
