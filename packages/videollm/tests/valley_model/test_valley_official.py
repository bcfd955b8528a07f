"""Released weights: a state dict with the release's own names, in a model that gives the same."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPVisionModel, LlamaForCausalLM

from graftwork.backbones.videollm.valley.files import read_config, read_weights
from graftwork.backbones.videollm.valley.generation import ValleyForConditionalGeneration
from graftwork.backbones.videollm.valley.official import (
    apply_delta,
    load_official,
    load_projector,
    load_tower,
)
from graftwork.backbones.videollm.valley.released import our_config
from graftwork.core.errors import GraftworkError

FLAGS = {
    "mean": {},
    "importance": {"use_patch_importance_pooling": True},
    "delta": {"use_delta_transformer": True},
}
PATCHES, WIDTH = 4, 32


@pytest.fixture(scope="module")
def parts(make_config):
    config = make_config()
    return config.text_config, config.vision_config


@pytest.fixture
def release(parts):
    """The modules of a release, put together as it does, so that the names are its own."""

    def make(temporal="mean", tower=False, seed=1):
        torch.manual_seed(seed)
        text, vision = parts
        made = LlamaForCausalLM(text)
        made.model.mm_projector = nn.Linear(vision.hidden_size, WIDTH)
        if temporal == "importance":
            made.model.pooling_layer = nn.Linear(WIDTH * PATCHES, 1)
        if temporal == "delta":
            layer = nn.TransformerEncoderLayer(d_model=WIDTH, nhead=8, batch_first=True)
            made.model.transforemr_adding_layer = layer
            made.model.transformer_delta_encoder = nn.TransformerEncoder(layer, num_layers=1)
        if tower:
            made.model.vision_tower = CLIPVisionModel(vision)
        return made.eval()

    return make


def config_of(release, parts, temporal):
    raw = release.config.to_dict() | FLAGS[temporal] | {"model_type": "valley"}
    raw |= {"mm_hidden_size": 16, "mm_vision_select_layer": -2, "mm_vision_tower": "clip"}
    return our_config(raw, video_token_id=5, vision_config=parts[1])


def rows_by_hand(release, temporal, tower, pixels):
    """What the released modules make of one clip."""
    seen = tower(pixels, output_hidden_states=True).hidden_states[-2]
    z = release.model.mm_projector(seen)
    x = z[:, 1:]
    if temporal == "mean":
        y = x.mean(0)
    elif temporal == "importance":
        y = (release.model.pooling_layer(x.flatten(1)).softmax(0)[:, None] * x).sum(0)
    else:
        at = torch.arange(len(x))[:, None] / 10000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
        p = torch.stack([at.sin(), at.cos()], 2).flatten(1)
        read = release.model.transformer_delta_encoder((x + p[:, None]).transpose(0, 1))
        y = read[:, -1] + x.mean(0)
    return torch.cat([y, z[:, 0]])


@pytest.mark.parametrize("temporal", FLAGS)
@pytest.mark.parametrize("tower", [True, False])
def test_a_release_gives_the_same_in_our_model(temporal, tower, release, parts, clip, prompt):
    theirs = release(temporal, tower)
    model = ValleyForConditionalGeneration(config_of(theirs, parts, temporal)).eval()
    assert model.config.temporal == temporal
    own_tower = theirs.model.vision_tower if tower else CLIPVisionModel(parts[1]).eval()
    load_official(model, theirs.state_dict())
    if not tower:
        load_tower(model, own_tower)
    pixels = clip(3)
    rows = rows_by_hand(theirs, temporal, own_tower, pixels)
    found = model.get_video_features(pixels[None]).pooler_output[0]
    torch.testing.assert_close(found, rows, rtol=1e-4, atol=1e-5)
    ids = prompt(model.config, 3)
    words = theirs.model.embed_tokens(ids)
    words[ids == 5] = rows
    expected = theirs(inputs_embeds=words).logits
    logits = model(input_ids=ids, pixel_values_videos=pixels[None]).logits
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)


def test_a_release_has_a_second_copy_of_the_encoder_that_nothing_reads(release, parts):
    state = release("delta").state_dict()
    copies = [name for name in state if "transforemr_adding_layer" in name]
    assert len(copies) == 12
    for name in copies:
        state[name] = torch.full_like(state[name], torch.nan)
    model = ValleyForConditionalGeneration(config_of(release("delta"), parts, "delta"))
    load_official(model, state)
    assert all(weight.isfinite().all() for weight in model.state_dict().values())


def test_leftovers_of_old_files_are_left_out(release, parts):
    theirs = release("delta", tower=True)
    model = ValleyForConditionalGeneration(config_of(theirs, parts, "delta"))
    state = {f"module.{name}": tensor for name, tensor in theirs.state_dict().items()}
    state = {n.replace("vision_tower.", "vision_tower.vision_model."): t for n, t in state.items()}
    state["module.model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    state["module.model.vision_tower.vision_model.embeddings.position_ids"] = torch.arange(5)[None]
    k = torch.arange(2048)[:, None] / 10000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
    state["module.model.table"] = torch.stack([k.sin(), k.cos()], 2).flatten(1)[None].half()
    load_official(model, state)


def test_other_names_by_a_mapping(release, parts):
    theirs = release("importance")
    model = ValleyForConditionalGeneration(config_of(theirs, parts, "importance"))
    state = {n.replace("pooling_layer", "weigh"): t for n, t in theirs.state_dict().items()}
    with pytest.raises(GraftworkError, match=r"'model\.weigh\.weight' is no name of the released"):
        load_official(model, state, place="old.bin")
    load_official(model, state, renames={r"\.weigh\.": ".pooling_layer."})
    weight = theirs.model.pooling_layer.weight
    assert torch.equal(model.model.temporal.score.weight, weight)


def test_a_delta_and_its_base(release, parts):
    theirs = release("delta").state_dict()
    base = {n: torch.randn_like(t) for n, t in LlamaForCausalLM(parts[0]).state_dict().items()}
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        base[name] = base[name][:-7]  # before tokens were added
    base["model.rotary_emb.inv_freq"] = torch.ones(4)
    delta = {}
    for name, full in theirs.items():
        delta[name] = full.clone()
        if name in base:
            delta[name][: len(base[name])] -= base[name]
    found = apply_delta(delta, base)
    assert found.keys() == theirs.keys()
    for name, full in theirs.items():
        torch.testing.assert_close(found[name], full)
    del delta["model.norm.weight"]
    with pytest.raises(GraftworkError, match=r"'model\.norm\.weight' of the base is missing"):
        apply_delta(delta, base)
    with pytest.raises(GraftworkError, match="use the base it was made from"):
        apply_delta({"a": torch.zeros(3, 4)}, {"a": torch.zeros(3, 5)})


@pytest.mark.parametrize("prefix", ["model.", ""])
@pytest.mark.parametrize("rows", [None, 64, 6])
def test_a_projector_of_the_first_stage(prefix, rows, release, parts, make_model):
    theirs = release().model.mm_projector.state_dict()
    state = {f"{prefix}mm_projector.{name}": tensor for name, tensor in theirs.items()}
    if rows:
        state["model.embed_tokens.weight"] = torch.randn(rows, WIDTH)
    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    load_projector(model, state)
    after = model.state_dict()
    assert torch.equal(after["model.projector.weight"], theirs["weight"])
    assert torch.equal(after["model.projector.bias"], theirs["bias"])
    embeddings = "model.decoder.model.embed_tokens.weight"
    if rows:
        assert torch.equal(after[embeddings][-rows:], state["model.embed_tokens.weight"])
        assert torch.equal(after[embeddings][:-rows], before[embeddings][:-rows])
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed <= {"model.projector.weight", "model.projector.bias", embeddings}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("model.norm.weight"), "norm.weight' is missing; is this the whole model"),
        (
            lambda s: s.update({"model.odd": torch.ones(1)}),
            "'model.odd' is no name of the released",
        ),
        (
            lambda s: s.update({"model.mm_projector.weight": torch.ones(32, 12)}),
            r"'model.projector.weight' is \[32, 12\] where the model has \[32, 16\]",
        ),
        (
            lambda s: s.update({"model.pooling_layer.weight": torch.ones(1, 128)}),
            "'model.temporal.score.weight' has no place in this model",
        ),
        (
            lambda s: s.update({"module.lm_head.weight": torch.ones(64, 32)}),
            "two keys become 'model.decoder.lm_head.weight'",
        ),
        (
            lambda s: s.update({"model.vision_tower.pre_layrnorm.weight": torch.ones(16)}),
            "vision_tower.* is missing",
        ),
    ],
)
def test_refuses_what_does_not_fit(change, message, release, parts):
    theirs = release()
    model = ValleyForConditionalGeneration(config_of(theirs, parts, "mean"))
    state = theirs.state_dict()
    change(state)
    before = model.model.projector.weight.clone()
    with pytest.raises(GraftworkError, match=message) as caught:
        load_official(model, state, place="w.bin")
    assert str(caught.value).startswith("w.bin: ")
    assert torch.equal(model.model.projector.weight, before)


def test_refuses_a_file_without_a_projector(release, make_model):
    with pytest.raises(GraftworkError, match="holds no projector"):
        load_projector(make_model(), LlamaForCausalLM(make_model().config.text_config).state_dict())


def test_refuses_another_tower(make_model, make_config):
    model = make_model()
    larger = make_config(vision={"image_size": 32}).vision_config
    for tower in (CLIPVisionModel(larger), model.model.decoder):
        with pytest.raises(GraftworkError, match="is missing or of another shape than"):
            load_tower(model, tower)


def test_a_released_configuration(release, parts):
    config = config_of(release(), parts, "delta")
    assert (config.delta_heads, config.delta_intermediate_size) == (8, 2048)
    assert config.text_config.vocab_size == 64
    assert not hasattr(config.text_config, "mm_vision_tower")
    with pytest.raises(GraftworkError, match="mm_hidden_size = 12 where the tower is 16 wide"):
        our_config({"mm_hidden_size": 12}, video_token_id=5, vision_config=parts[1])


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_weights_in_one_file_or_several(suffix, tmp_path):
    def write(path, tensors):
        save_file(tensors, path) if suffix == "safetensors" else torch.save(tensors, path)

    write(tmp_path / f"model-1.{suffix}", {"a": torch.ones(2)})
    write(tmp_path / f"model-2.{suffix}", {"b": torch.zeros(3)})
    torch.save(object, tmp_path / "training_args.bin")
    assert read_weights(tmp_path).keys() == {"a", "b"}
    assert read_weights(tmp_path / f"model-2.{suffix}").keys() == {"b"}
    write(tmp_path / f"model-3.{suffix}", {"a": torch.ones(2)})
    with pytest.raises(GraftworkError, match="'a' is in another file of the folder too"):
        read_weights(tmp_path)


def bad_files(folder):
    torch.save(nn.Linear(2, 2), folder / "module.bin")
    torch.save({"a": [1, 2]}, folder / "list.bin")
    torch.save({"a": torch.ones(100)}, folder / "cut.bin")
    (folder / "cut.bin").write_bytes((folder / "cut.bin").read_bytes()[:200])
    (folder / "cut.safetensors").write_bytes(b"12345678")
    (folder / "empty").mkdir()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("module.bin", "holds more than tensors"),
        ("list.bin", "is no state dict"),
        ("cut.bin", "or is cut short"),
        ("cut.safetensors", "missing, cut short or altered; copy the weights again"),
        ("empty", "no weights; give a .safetensors or .bin file"),
        ("absent.bin", "no weights"),
    ],
)
def test_refuses_files_that_are_no_weights(name, message, tmp_path):
    bad_files(tmp_path)
    with pytest.raises(GraftworkError, match=message):
        read_weights(tmp_path / name)


def test_reads_a_configuration(tmp_path):
    (tmp_path / "config.json").write_text('{"mm_hidden_size": 1024}')
    assert read_config(tmp_path) == {"mm_hidden_size": 1024}
    for text in ("[1]", "{"):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(GraftworkError, match="copy it again"):
            read_config(tmp_path)
    with pytest.raises(GraftworkError, match=r"config\.json: missing"):
        read_config(tmp_path / "absent")
