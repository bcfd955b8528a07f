"""Training: the loss, who gets a gradient, checkpointing, and adapters of PEFT."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F

TEMPORAL = ["mean", "max", "importance", "delta"]


@pytest.fixture
def batch(make_config, clip, prompt):
    """Two prompts with a clip each, of unequal length, padded on the right."""
    config = make_config()
    rows = [prompt(config, 3)[0], prompt(config, 1, words=6, seed=1)[0]]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    labels = torch.where((ids == config.video_token_id) | (ids == 0), -100, ids)
    return {
        "input_ids": ids,
        "attention_mask": (ids != 0).long(),
        "labels": labels,
        "pixel_values_videos": [clip(3), clip(1, seed=1)],
    }


def gradients(model, batch):
    model.zero_grad()
    model(**batch).loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_the_loss_is_the_mean_over_labels(make_model, batch):
    model = make_model()
    out = model(**batch)
    logits, labels = out.logits[:, :-1], batch["labels"][:, 1:]
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    count = (labels != -100).sum()
    torch.testing.assert_close(out.loss, losses.sum() / count)
    # With the number of labels of several batches, as gradients are accumulated.
    torch.testing.assert_close(model(**batch, num_items_in_batch=100).loss, losses.sum() / 100)


@pytest.mark.parametrize("temporal", TEMPORAL)
def test_all_that_trains_gets_a_gradient(temporal, make_model, batch):
    model = make_model(temporal).train()
    got = gradients(model, batch)
    assert got.keys() == {n for n, p in model.named_parameters() if p.requires_grad}
    assert all(grad.abs().max() > 0 for name, grad in got.items() if name not in SHIFTS)
    assert not any("vision_tower" in name for name in got)


# A shift of all scores changes no softmax: these gradients are zero but for rounding.
SHIFTS = {"model.temporal.score.bias"}


@pytest.mark.parametrize("temporal", TEMPORAL)
def test_kept_tower_features_train_projector_and_temporal_alike(temporal, make_model, batch):
    model = make_model(temporal)
    expected = gradients(model, batch)
    clips = batch.pop("pixel_values_videos")
    kept = [model.tower_features(each) for each in clips]
    rows = model.features_from_tower(kept)
    got = gradients(model, batch | {"mm_encoder_outputs": {"video": rows}})
    assert got.keys() == expected.keys()
    for name, grad in got.items():
        torch.testing.assert_close(grad, expected[name], rtol=1e-4, atol=1e-6)


def test_checkpointing_changes_no_gradient(make_model, batch):
    model = make_model("delta", delta_dropout=0.0).train()
    expected = gradients(model, batch)
    model.activation_checkpointing_enable()
    assert model.is_activation_checkpointing
    got = gradients(model, batch)
    for name, grad in expected.items():
        torch.testing.assert_close(got[name], grad, rtol=1e-5, atol=1e-7)


def test_text_alone_trains(make_model, prompt):
    model = make_model("delta").train()
    ids = prompt(model.config)
    got = gradients(model, {"input_ids": ids, "labels": ids})
    assert not any("projector" in name or "temporal" in name for name in got)
    assert any("decoder" in name for name in got)


def decoder_layers(model, *ends):
    """Full names of linear layers of the decoder, derived from its accessor."""
    decoder = model.get_decoder()
    prefix = next(name for name, module in model.named_modules() if module is decoder)
    names = [f"{prefix}.{name}" for name, _ in decoder.named_modules()]
    return [name for name in names if name.endswith(ends)]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_lora_of_peft_on_the_decoder(checkpointing, make_model, batch):
    model = make_model("delta").train()
    base = model(**batch).logits.detach()
    targets = decoder_layers(model, "q_proj", "v_proj")
    assert len(targets) == 4
    settings = LoraConfig(
        r=2, target_modules=targets, modules_to_save=["projector", "temporal"], lora_dropout=0.0
    )
    adapted = get_peft_model(model, settings)
    if checkpointing:
        model.activation_checkpointing_enable()
        model.enable_input_require_grads()
    adapted.eval()
    torch.testing.assert_close(adapted(**batch).logits, model.eval()(**batch).logits)
    adapted.train()
    adapted(**batch).loss.backward()
    trainable = {n: p for n, p in adapted.named_parameters() if p.requires_grad}
    assert {name for name, p in trainable.items() if p.grad is None} == set()
    assert sum("lora_" in name for name in trainable) == 8
    assert not any("vision_tower" in name for name in trainable)
    assert base.shape == adapted(**batch).logits.shape


def test_lora_of_peft_around_the_decoder_alone(make_model, batch, clip, prompt):
    model = make_model()
    before = model(**batch).logits
    decoder = model.get_decoder()
    adapted = get_peft_model(decoder, LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    torch.testing.assert_close(model(**batch).logits, before)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    model(**batch).loss.backward()
    trainable = [p for n, p in model.named_parameters() if "lora_" in n]
    assert len(trainable) == 8
    assert all(p.grad is not None for p in trainable)
    assert (model(**batch).logits - before).abs().max() > 1e-2


def test_a_peft_model_answers(make_model, clip, prompt):
    model = make_model()
    ids, pixels = prompt(model.config, 3), clip(1, 3)
    expected = model.generate(input_ids=ids, pixel_values_videos=pixels, max_new_tokens=4)
    settings = LoraConfig(r=2, target_modules=decoder_layers(model, "q_proj"))
    adapted = get_peft_model(model, settings)
    assert torch.equal(
        adapted.generate(input_ids=ids, pixel_values_videos=pixels, max_new_tokens=4), expected
    )
    rows = {"video": model.get_video_features(pixels)}
    assert torch.equal(
        adapted.generate(input_ids=ids, mm_encoder_outputs=rows, max_new_tokens=4), expected
    )
