"""A Valley from parts that were trained apart."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    LlamaForCausalLM,
)

from graftwork.backbones.videollm.valley.assembling import assemble
from graftwork.core.errors import GraftworkError


@pytest.fixture
def parts(make_config):
    torch.manual_seed(3)
    config = make_config()
    return CLIPVisionModel(config.vision_config).eval(), LlamaForCausalLM(config.text_config).eval()


@pytest.mark.parametrize("temporal", ["mean", "importance", "delta"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_keeps_the_weights_of_its_parts(temporal, dtype, parts, clip, prompt, tmp_path):
    tower = parts[0]
    decoder = AutoModelForCausalLM.from_config(parts[1].config, dtype=dtype).eval()
    model = assemble(tower, decoder, temporal=temporal, video_token_id=5)
    assert model.model.decoder is decoder
    assert {weight.dtype for weight in model.parameters()} == {dtype}
    assert not any(weight.is_meta for weight in [*model.parameters(), *model.buffers()])
    assert not any(weight.requires_grad for weight in model.model.vision_tower.parameters())
    seen = tower(clip(2), output_hidden_states=True).hidden_states[-2]
    apart = (model.tower_features(clip(2)) - seen).abs().max()
    assert apart == 0 if dtype == torch.float32 else apart < 0.1 * seen.abs().max()
    text = prompt(model.config)
    assert torch.equal(model(input_ids=text).logits, decoder(input_ids=text).logits)
    inputs = {"input_ids": prompt(model.config, 3), "pixel_values_videos": clip(1, 3)}
    logits = model(**inputs).logits
    assert logits.isfinite().all()
    model.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    torch.testing.assert_close(again(**inputs).logits, logits)
    assert model.generate(**inputs, max_new_tokens=2, min_new_tokens=2).shape[1] > 2


def test_two_seeds_are_two_projectors(parts):
    torch.manual_seed(0)
    one = assemble(*parts).model.projector.weight
    other = assemble(*parts).model.projector.weight
    assert not torch.equal(one, other)


def test_tied_embeddings_stay_tied(make_config, parts):
    torch.manual_seed(0)
    decoder = LlamaForCausalLM(make_config(text={"tie_word_embeddings": True}).text_config)
    model = assemble(parts[0], decoder)
    model.tie_weights()
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_refuses_settings_that_fit_no_model(parts):
    with pytest.raises(GraftworkError, match="temporal = 'last'"):
        assemble(*parts, temporal="last")
    with pytest.raises(GraftworkError, match="give a CLIPVisionModel of the model's"):
        assemble(CLIPVisionModelWithProjection(parts[0].config), parts[1])
