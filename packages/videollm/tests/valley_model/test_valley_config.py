"""The configuration: released sizes, files, and values that make no model."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, LlamaConfig

from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.backbones.videollm.valley.generation import ValleyForConditionalGeneration
from graftwork.core.errors import GraftworkError

WIDE = {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40}
WIDE |= {"num_attention_heads": 40}


def test_the_defaults_are_the_released_shape():
    config = ValleyConfig()
    assert (config.patches, config.vision_blocks) == (256, 23)
    # Placeholders of the specification's table: 264 for 8 frames, 257 for an image.
    assert (config.visual_rows(8), config.visual_rows(1)) == (264, 257)
    assert ValleyConfig(frame_tokens=False).visual_rows(8) == 256


# Parameter counts of the specification of the method.
@pytest.mark.parametrize(
    ("text", "projector", "lora"),
    [({}, 4_198_400, 39_976_960), (WIDE, 5_248_000, 62_586_880)],
    ids=["7B", "13B"],
)
def test_released_sizes_of_projector_and_lora(text, projector, lora):
    with torch.device("meta"):
        model = ValleyForConditionalGeneration(ValleyConfig(text_config=LlamaConfig(**text)))
        assert sum(p.numel() for p in model.model.projector.parameters()) == projector
        layers = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj".split()
        settings = LoraConfig(r=16, lora_alpha=32, target_modules=layers)
        adapted = get_peft_model(model.get_decoder(), settings)
    assert adapted.get_nb_trainable_parameters()[0] == lora


def test_survives_a_file(make_config, tmp_path):
    config = make_config(temporal="delta", frame_tokens=False, delta_dropout=0.2)
    config.save_pretrained(tmp_path)
    again = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(again, ValleyConfig)
    assert again.to_diff_dict() == config.to_diff_dict()


def test_patches_follow_the_tower_or_are_given(make_config):
    assert make_config(vision={"image_size": 32}).patches == 16
    assert make_config(vision={"image_size": [16, 32]}).patches == 8
    assert make_config(patches_per_frame=7).patches == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temporal": "median"}, "temporal = 'median': choose from mean, max, importance, delta"),
        ({"vision_feature_layer": 0}, "the tower has 3 blocks; use -3 to -1, or 1 to 3"),
        ({"vision_feature_layer": -4}, "the tower has 3 blocks"),
        ({"vision_feature_layer": 4}, "the tower has 3 blocks"),
        ({"vision_prefix_tokens": -1}, "vision_prefix_tokens = -1: use 0 or more"),
        ({"patches_per_frame": 0}, "patches_per_frame = 0"),
        ({"temporal": "delta", "delta_heads": 5}, "delta_heads = 5: the decoder's width 32"),
        ({"delta_dropout": 1.0}, "delta_dropout = 1.0: use 0 to below 1"),
        ({"delta_intermediate_size": 0}, "delta_intermediate_size = 0"),
        ({"delta_norm_eps": 0.0}, "delta_norm_eps = 0.0"),
        ({"video_token_id": -1}, "video_token_id = -1"),
    ],
)
def test_refuses(changes, message, make_config):
    with pytest.raises(GraftworkError, match=message):
        make_config(**changes)
