"""Files: bit for bit what was saved, through the Auto classes; other dtypes and vocabularies."""

import pytest
import torch
from transformers import AutoModel, AutoModelForImageTextToText, CLIPVisionModel, LlamaModel

from graftwork.backbones.videollm.valley.generation import ValleyForConditionalGeneration
from graftwork.backbones.videollm.valley.model import ValleyModel

TEMPORAL = ["mean", "max", "importance", "delta"]


def assert_same(found, expected):
    """Equal but for the rounding of sums: weights read from a file lie elsewhere in memory, and
    torch multiplies unaligned ones in another order."""
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temporal", TEMPORAL)
@pytest.mark.parametrize("truncate", [True, False])
def test_a_saved_model_is_the_same_model(temporal, truncate, make_model, clip, prompt, tmp_path):
    model = make_model(temporal, truncate_vision_tower=truncate)
    model.save_pretrained(tmp_path)
    again, info = AutoModelForImageTextToText.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(again, ValleyForConditionalGeneration)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    own, other = model.state_dict(), again.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)
    inputs = {"input_ids": prompt(model.config, 3), "pixel_values_videos": clip(1, 3)}
    assert_same(again(**inputs).logits, model(**inputs).logits)
    assert not again.training


def test_a_loaded_tower_is_frozen(make_model, tmp_path):
    make_model("delta").save_pretrained(tmp_path)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path)
    trainable = {name for name, weight in model.named_parameters() if weight.requires_grad}
    everything = {name for name, _ in model.named_parameters()}
    assert everything - trainable == {n for n in everything if "vision_tower" in n} != set()


def test_the_model_without_its_head_loads_from_the_same_file(make_model, prompt, clip, tmp_path):
    model = make_model()
    model.save_pretrained(tmp_path)
    inner = AutoModel.from_pretrained(tmp_path)
    assert isinstance(inner, ValleyModel)
    inputs = {"input_ids": prompt(model.config, 3), "pixel_values_videos": clip(1, 3)}
    assert_same(inner(**inputs).last_hidden_state, model.model(**inputs).last_hidden_state)


@pytest.mark.parametrize("old_prefix", [False, True], ids=["now", "vision_model"])
def test_a_checkpoint_of_the_whole_tower_loads(
    old_prefix, make_model, clip, prompt, tmp_path, caplog
):
    whole = make_model(truncate_vision_tower=False)
    state = whole.state_dict()
    assert any("vision_tower.encoder.layers.2." in name for name in state)
    if old_prefix:  # as releases of transformers before the fifth wrote it
        old = "vision_tower.vision_model."
        state = {name.replace("vision_tower.", old): tensor for name, tensor in state.items()}
    whole.config.truncate_vision_tower = True
    whole.save_pretrained(tmp_path, state_dict=state, save_original_format=False)
    model, info = AutoModelForImageTextToText.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert len(model.get_encoder(modality="video").encoder.layers) == 2
    inputs = {"input_ids": prompt(model.config, 3), "pixel_values_videos": clip(1, 3)}
    whole.config.truncate_vision_tower = False
    assert_same(model(**inputs).logits, whole(**inputs).logits)


def test_weights_that_a_file_lacks_start_as_torchs_do(make_model, make_config, tmp_path):
    torch.manual_seed(0)
    model = make_model("mean")
    model.save_pretrained(tmp_path)
    config = make_config(temporal="importance", text={"initializer_range": 1.0})
    again, info = AutoModelForImageTextToText.from_pretrained(
        tmp_path, config=config, output_loading_info=True
    )
    assert info["missing_keys"] == {
        "model.temporal.score.weight",
        "model.temporal.score.bias",
    }
    bound = (4 * 32) ** -0.5
    weight = again.model.temporal.score.weight
    assert bound / 2 < weight.abs().max() <= bound
    assert torch.equal(again.model.projector.weight, model.model.projector.weight)


def test_tied_embeddings_stay_tied(make_model, clip, prompt, tmp_path):
    model = make_model(text={"tie_word_embeddings": True})
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    model.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert again.get_output_embeddings().weight is again.get_input_embeddings().weight
    inputs = {"input_ids": prompt(model.config, 3), "pixel_values_videos": clip(1, 3)}
    assert_same(again(**inputs).logits, model(**inputs).logits)


@pytest.mark.parametrize("temporal", TEMPORAL)
def test_half_precision(temporal, make_model, clip, prompt, tmp_path):
    model = make_model(temporal)
    model.save_pretrained(tmp_path)
    half = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {weight.dtype for weight in half.parameters()} == {torch.bfloat16}
    ids = prompt(model.config, 3)
    inputs = {"input_ids": ids, "pixel_values_videos": clip(1, 3)}  # pixels stay in float32
    logits = half(**inputs).logits
    assert logits.dtype == torch.bfloat16
    exact = model(**inputs).logits
    assert (logits - exact).abs().max() < 0.1 * exact.abs().max()
    assert half.generate(**inputs, max_new_tokens=2, min_new_tokens=2).shape[1] == ids.shape[1] + 2


@pytest.mark.parametrize("tied", [True, False])
def test_a_larger_vocabulary(tied, make_model, clip, prompt, tmp_path):
    model = make_model(text={"tie_word_embeddings": tied})
    ids = prompt(model.config, 3)
    inputs = {"input_ids": ids, "pixel_values_videos": clip(1, 3)}
    before = model(**inputs).logits
    model.resize_token_embeddings(70)
    after = model(**inputs, labels=ids)
    torch.testing.assert_close(after.logits[..., :64], before)
    assert after.logits.shape[-1] == model.config.text_config.vocab_size == 70
    assert after.loss.isfinite()
    assert model.get_input_embeddings().weight.shape[0] == 70
    model.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert_same(again(**inputs).logits, after.logits)


def test_parts_are_found_by_what_they_are_for(make_model):
    model = make_model()
    assert model.get_decoder() is model.model.decoder.model
    assert model.model.get_decoder() is model.get_decoder()
    for modality in ("video", "image"):
        tower = model.get_encoder(modality=modality)
        assert tower is model.model.vision_tower
        assert isinstance(tower, CLIPVisionModel)
    embedding = torch.nn.Embedding(64, 32)
    head = torch.nn.Linear(32, 64, bias=False)
    body = LlamaModel(model.config.text_config)
    model.set_decoder(body)
    assert model.get_decoder() is model.model.decoder.model is body
    model.set_input_embeddings(embedding)
    model.set_output_embeddings(head)
    assert model.get_input_embeddings() is model.model.decoder.model.embed_tokens is embedding
    assert model.get_output_embeddings() is model.model.decoder.lm_head is head


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_attention_is_chosen_for_tower_and_decoder(implementation, make_model, clip, prompt):
    model = make_model()
    assert model.config._attn_implementation == "sdpa"
    inputs = {"input_ids": prompt(model.config, 3), "pixel_values_videos": clip(1, 3)}
    logits = model(**inputs).logits
    model.set_attn_implementation(implementation)
    assert model.model.vision_tower.config._attn_implementation == implementation
    assert model.get_decoder().config._attn_implementation == implementation
    torch.testing.assert_close(model(**inputs).logits, logits, rtol=1e-4, atol=1e-4)
