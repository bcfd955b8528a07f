"""Rows of clips: what they are, and that they are the same however they are made."""

import pytest
import torch
from transformers import CLIPVisionModel, SiglipVisionConfig

from graftwork.core.errors import GraftworkError

TEMPORAL = ["mean", "max", "importance", "delta"]


@pytest.mark.parametrize("temporal", TEMPORAL)
def test_rows_are_pooled_patches_then_frames_in_order(temporal, make_model, clip):
    model = make_model(temporal)
    pixels = clip(2, 3)
    rows = model.get_video_features(pixels).pooler_output
    whole = CLIPVisionModel(model.config.vision_config).eval()
    whole.load_state_dict(model.model.vision_tower.state_dict(), strict=False)
    for own, frames in zip(rows, pixels, strict=True):
        seen = whole(frames, output_hidden_states=True).hidden_states[-2]
        z = seen @ model.model.projector.weight.T + model.model.projector.bias
        expected = torch.cat([model.model.temporal(z[None, :, 1:])[0], z[:, 0]])
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-5)
    assert rows.shape == (2, 4 + 3, 32)


@pytest.mark.parametrize("layer", [-3, -2, -1, 1, 2, 3])
@pytest.mark.parametrize("truncate", [True, False])
def test_the_tower_gives_the_layer_that_is_asked_for(layer, truncate, make_model, clip):
    model = make_model(vision_feature_layer=layer, truncate_vision_tower=truncate)
    tower = model.get_encoder(modality="video")
    blocks = layer if layer > 0 else 4 + layer
    assert len(tower.encoder.layers) == (blocks if truncate else 3)
    whole = CLIPVisionModel(model.config.vision_config).eval()
    whole.load_state_dict(tower.state_dict(), strict=False)
    states = whole(clip(2), output_hidden_states=True).hidden_states
    torch.testing.assert_close(model.tower_features(clip(2)), states[layer], rtol=0, atol=0)
    assert model.config.vision_config.num_hidden_layers == 3


@pytest.mark.parametrize("temporal", TEMPORAL)
def test_kept_tower_features_give_the_same_rows(temporal, make_model, clip):
    model = make_model(temporal)
    pixels = clip(2, 3)
    kept = model.tower_features(pixels.flatten(0, 1))
    assert kept.shape == (6, 5, 16)
    rows = model.features_from_tower(kept.unflatten(0, (2, 3))).pooler_output
    torch.testing.assert_close(rows, model.get_video_features(pixels).pooler_output, rtol=0, atol=0)


@pytest.mark.parametrize("temporal", TEMPORAL)
def test_clips_of_unequal_length_do_not_meet(temporal, make_model, clip):
    model = make_model(temporal)
    clips = [clip(count, seed=count) for count in (3, 1, 4, 3)]
    rows = model.get_video_features(clips).pooler_output
    assert [len(own) for own in rows] == [7, 5, 8, 7]
    for own, alone in zip(rows, clips, strict=True):
        expected = model.get_video_features(alone[None]).pooler_output[0]
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-5)


def test_a_list_of_equal_clips_is_a_batch(make_model, clip):
    model = make_model("delta")
    pixels = clip(2, 3)
    listed = model.get_video_features(list(pixels)).pooler_output
    assert torch.equal(listed, model.get_video_features(pixels).pooler_output)


@pytest.mark.parametrize("temporal", TEMPORAL)
@pytest.mark.parametrize("frame_tokens", [True, False])
def test_reversal_changes_rows_as_the_table_says(temporal, frame_tokens, make_model, clip):
    model = make_model(temporal, frame_tokens=frame_tokens)
    pixels = clip(1, 4)
    there = model.get_video_features(pixels).pooler_output
    back = model.get_video_features(pixels.flip(1)).pooler_output
    apart = (there - back).abs().amax(-1)[0]
    blind = model.model.temporal.order_blind
    assert blind == (temporal != "delta")
    assert (apart[:4].max() < 1e-5) == blind
    if frame_tokens:
        assert torch.allclose(there[:, 4:], back[:, 4:].flip(1), atol=1e-5)
        assert apart[4:].max() > 1e-2
    else:
        assert apart.shape == (4,)


def test_a_tower_without_a_token_of_its_own(make_model, clip):
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3}
    sizes |= {"num_attention_heads": 2, "image_size": 16, "patch_size": 8}
    model = make_model(
        vision_config=SiglipVisionConfig(**sizes, vision_use_head=False), vision_prefix_tokens=0
    )
    pixels = clip(1, 3)
    rows = model.get_video_features(pixels).pooler_output[0]
    seen = model.model.projector(model.tower_features(pixels[0]))
    torch.testing.assert_close(rows[:4], seen.mean(0))
    torch.testing.assert_close(rows[4:], seen.mean(1))
    # What is read is the last used block's output: not yet through the tower's final norm.
    tower = model.get_encoder(modality="video")
    assert not torch.allclose(model.tower_features(pixels[0]), tower(pixels[0])[0], atol=1e-3)


def test_the_tower_is_frozen_and_stays_in_evaluation_mode(make_model, clip):
    model = make_model(vision={"attention_dropout": 0.5}).train()
    tower = model.get_encoder(modality="video")
    assert not any(weight.requires_grad for weight in tower.parameters())
    assert not tower.training
    assert model.model.projector.training
    assert model.get_decoder().training
    seen = model.tower_features(clip(2))
    assert not seen.requires_grad
    assert torch.equal(seen, model.tower_features(clip(2)))


def test_a_tower_in_which_something_trains_has_a_gradient(make_model, clip):
    model = make_model(freeze_vision_tower=False).train()
    tower = model.get_encoder(modality="video")
    assert tower.training
    model.tower_features(clip(2)).sum().backward()
    blocks = [name for name, weight in tower.named_parameters() if weight.grad is None]
    assert blocks == ["post_layernorm.weight", "post_layernorm.bias"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 2, 5, 12), "5 tokens of width 12 for a frame where this model's tower gives 5 of 16"),
        ((1, 2, 6, 16), "6 tokens of width 16"),
        ((0, 2, 5, 16), "no clip"),
        ((1, 0, 5, 16), "a clip without a frame"),
    ],
)
def test_refuses_features_of_another_tower(shape, message, make_model):
    with pytest.raises(GraftworkError, match=message):
        make_model().features_from_tower(torch.zeros(shape))


def test_refuses_clips_without_frames(make_model, clip):
    with pytest.raises(GraftworkError, match="a clip without a frame"):
        make_model().get_video_features([clip(2), clip(0)])
    with pytest.raises(GraftworkError, match="no clip"):
        make_model().get_video_features([])
