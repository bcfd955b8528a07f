"""What is saved comes back bit for bit; what is damaged is refused, and nothing is touched."""

import hashlib
import json
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from graftwork.core import plugins
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import PluginManager
from graftwork.nn import fingerprint, graft, grafts, load_graft


def build(width=6):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, width), nn.Tanh(), nn.Linear(width, 3))


@pytest.fixture
def saved(tmp_path):
    handle = graft(build(), "low-rank", {"rank": 2}, sites="*", weight=0.5, seed=3)
    return handle, handle.save(tmp_path / "adapter")


def card(folder):
    return json.loads((folder / "adapter.json").read_text())


def rewrite(folder, *, tensors=None, **changes):
    """Change the weights or the card, hash included."""
    if tensors is not None:
        save_file(tensors, folder / "adapter.safetensors")
        data = (folder / "adapter.safetensors").read_bytes()
        changes["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "adapter.json").write_text(json.dumps({**card(folder), **changes}))


def refused(folder, message, model=None):
    model = model or build()
    before = [(name, p.clone(), p.requires_grad) for name, p in model.named_parameters()]
    with pytest.raises(GraftworkError, match=message) as caught:
        load_graft(model, folder)
    assert "\n" not in str(caught.value)
    after = list(model.named_parameters())
    assert len(after) == len(before)
    for (name, old, trains), (other, new) in zip(before, after, strict=True):
        assert name == other
        assert torch.equal(old, new)
        assert new.requires_grad == trains
    assert grafts(model) == {}


def test_round_trip(saved):
    handle, folder = saved
    model = build()
    loaded = load_graft(model, folder)
    x = torch.randn(4, 5)
    assert torch.equal(model(x), handle.model(x))
    assert loaded.weight == 0.5
    assert loaded.settings == handle.settings
    assert loaded.method == "low-rank"
    assert all(p.requires_grad for p in loaded.parameters())
    assert not model[0]._parameters["weight"].requires_grad
    for key, tensor in handle.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor)


def test_load_under_another_name_and_weight(saved):
    _, folder = saved
    model = build()
    load_graft(model, folder, name="style", weight=2.0)
    other = load_graft(model, folder)
    assert list(grafts(model)) == ["style", "default"]
    assert grafts(model)["style"].weight == 2.0
    assert other.weight == 0.5
    with pytest.raises(GraftworkError, match="already on the model"):
        load_graft(model, folder)


def test_the_card_tells_the_whole_story(saved):
    handle, folder = saved
    told = card(folder)
    assert told["method"] == "low-rank"
    assert told["provider"] == "graftwork-offer 1.0"
    assert told["settings"] == {"rank": 2}
    assert told["sites"]["2"] == {"kind": "linear", "shape": [3, 6]}
    assert told["dtype"] == "float32"
    assert told["backbone"] == fingerprint(handle.model)
    assert "graftwork-core" in told["versions"]
    data = (folder / "adapter.safetensors").read_bytes()
    assert told["sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dtype_comes_back(dtype, tmp_path):
    handle = graft(build(), "scale", sites="*", dtype=dtype)
    model = build()
    loaded = load_graft(model, handle.save(tmp_path / "adapter"))
    assert {p.dtype for p in loaded.parameters()} == {dtype}


def test_what_a_method_keeps_fixed_comes_back_fixed(tmp_path):
    handle = graft(build(), "half", sites="*")
    loaded = load_graft(build(), handle.save(tmp_path / "adapter"))
    assert [n for n, p in loaded.named_parameters() if p.requires_grad] == ["0.up", "2.up"]


def test_packed_parts_and_embeddings_come_back(tmp_path):
    model = nn.ModuleDict({"qkv": nn.Linear(4, 12), "tokens": nn.Embedding(5, 4)})
    handle = graft(model, "low-rank", sites=["*.q", "tokens"])
    folder = handle.save(tmp_path / "adapter")
    expected = model["qkv"](torch.ones(4)), model["tokens"](torch.arange(5))
    handle.detach()
    load_graft(model, folder)
    assert torch.equal(model["qkv"](torch.ones(4)), expected[0])
    assert torch.equal(model["tokens"](torch.arange(5)), expected[1])


def test_saving_again_replaces_but_spares_strangers(saved, tmp_path):
    handle, folder = saved
    with torch.no_grad():
        handle.sites["0"].up.zero_()
    handle.save(folder)
    assert not load_graft(build(), folder).sites["0"].up.any()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(GraftworkError, match="exists already"):
        handle.save(folder)
    assert (folder / "notes.txt").read_text() == "mine"


def test_saving_where_there_is_a_file_is_refused(saved, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(GraftworkError, match="is a file"):
        saved[0].save(tmp_path / "file")


def test_missing_folder(tmp_path):
    refused(tmp_path / "nowhere", "does not exist")


def test_folder_without_an_adapter(tmp_path):
    refused(tmp_path, "no adapter.json here")


def test_missing_weights(saved):
    (saved[1] / "adapter.safetensors").unlink()
    refused(saved[1], "cannot be read")


@pytest.mark.parametrize("cut", [1, 100, 10**9])
def test_truncated_weights(saved, cut):
    path = saved[1] / "adapter.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: max(0, len(data) - cut)])
    refused(saved[1], "cut short or altered")


def test_one_flipped_bit(saved):
    path = saved[1] / "adapter.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    refused(saved[1], "cut short or altered")


def test_weights_that_are_no_safetensors(saved):
    (saved[1] / "adapter.safetensors").write_bytes(b"junk")
    rewrite(saved[1], sha256=hashlib.sha256(b"junk").hexdigest())
    refused(saved[1], "not a safetensors file")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"graftwork": null}', '"card"'])
def test_card_that_is_no_card(saved, text):
    (saved[1] / "adapter.json").write_text(text)
    refused(saved[1], "adapter.json: ")


@pytest.mark.parametrize("key", ["method", "settings", "sites", "sha256", "weight", "dtype"])
def test_card_that_lacks_a_key(saved, key):
    told = card(saved[1])
    del told[key]
    (saved[1] / "adapter.json").write_text(json.dumps(told))
    refused(saved[1], f"adapter.json: {key}: missing")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("settings", [1]),
        ("sites", ["0", "2"]),
        ("sites", {"0": 3}),
        ("weight", "heavy"),
        ("dtype", "float7"),
        ("dtype", "nn"),
        ("method", 3),
    ],
)
def test_card_of_the_wrong_form(saved, key, value):
    rewrite(saved[1], **{key: value})
    refused(saved[1], "adapter.json")


def test_card_of_a_later_format(saved):
    rewrite(saved[1], graftwork=99)
    refused(saved[1], "format 99 is not known; update")


def test_missing_plugin_is_named(saved):
    with plugins.use(PluginManager()):
        refused(saved[1], "'low-rank' is not installed; install graftwork-offer 1.0")


def test_settings_that_the_method_does_not_know(saved):
    rewrite(saved[1], settings={"rnak": 2})
    refused(saved[1], "did you mean 'rank'")


def test_settings_that_do_not_fit_the_weights(saved):
    rewrite(saved[1], settings={"rank": 1})
    refused(saved[1], "has shape")


def test_backbone_of_another_shape(saved):
    refused(saved[1], "site '0' is 7 x 5 in this model and 6 x 5 in the file", build(width=7))


def test_backbone_without_the_site(saved):
    refused(saved[1], "no site '2'", nn.Sequential(nn.Linear(5, 6)))


def test_backbone_of_other_weights_is_a_warning(saved):
    model = build()
    with torch.no_grad():
        model[0].weight.add_(1)
    with pytest.warns(UserWarning, match="trained on other weights"):
        load_graft(model, saved[1])


def test_the_same_backbone_is_none(saved):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_graft(build(), saved[1])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(saved, bad):
    tensors = load_file(saved[1] / "adapter.safetensors")
    tensors["2.up"][0, 0] = bad
    rewrite(saved[1], tensors=tensors)
    refused(saved[1], "'2.up' holds NaN or infinity")


def test_a_tensor_too_many(saved):
    tensors = load_file(saved[1] / "adapter.safetensors")
    rewrite(saved[1], tensors={**tensors, "9.up": torch.ones(2)})
    refused(saved[1], "'9.up' belongs to no site")


def test_a_tensor_too_few(saved):
    tensors = load_file(saved[1] / "adapter.safetensors")
    del tensors["2.up"]
    rewrite(saved[1], tensors=tensors)
    refused(saved[1], "'2.up' is missing")


def test_a_site_too_few(saved):
    sites = card(saved[1])["sites"]
    del sites["0"]
    rewrite(saved[1], sites=sites)
    refused(saved[1], "'0.down' belongs to no site")


def test_a_buffer_that_is_not_saved_is_told(tmp_path):
    handle = graft(build(), "forgetful", sites="*")
    refused(handle.save(tmp_path / "adapter"), "buffer 'offset' is not saved")


def test_loading_draws_nothing_and_copies_nothing(saved):
    before = torch.get_rng_state()
    model = build()
    state = torch.get_rng_state()
    load_graft(model, saved[1])
    assert torch.equal(state, torch.get_rng_state())
    torch.set_rng_state(before)
