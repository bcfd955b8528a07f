"""The six tokens: their ids, and where their embeddings start."""

import torch

from graftwork.backbones.videollm.valley.tokens import DELIMITERS, NAMES, PAD, VisualTokens
from graftwork.backbones.videollm.valley.tokens import add_visual_tokens as add


def test_they_are_added_once(make_tokenizer, make_model):
    tokenizer = make_tokenizer()
    size = len(tokenizer)
    model = make_model(text={"vocab_size": size})
    tokens = add(tokenizer, model)
    assert tokenizer.convert_tokens_to_ids([*NAMES, PAD]) == list(range(size, size + 7))
    assert (tokens.patch, tokens.video_end) == (size, size + 5)
    assert tokenizer.pad_token == PAD
    assert model.config.video_token_id == tokens.patch
    assert model.get_input_embeddings().weight.shape[0] == size + 7
    before = model.get_input_embeddings().weight.clone()
    assert add(tokenizer, model) == tokens == VisualTokens.of(tokenizer)
    assert torch.equal(model.get_input_embeddings().weight, before)
    assert len(tokenizer) == size + 7


def test_delimiters_start_as_the_mean(make_tokenizer, make_model):
    for tied in (False, True):
        tokenizer = make_tokenizer()
        size = len(tokenizer)
        model = make_model(text={"vocab_size": size, "tie_word_embeddings": tied})
        layers = (model.get_input_embeddings, model.get_output_embeddings)
        old = [layer().weight.clone() for layer in layers]
        add(tokenizer, model)
        rows = tokenizer.convert_tokens_to_ids(list(DELIMITERS))
        for layer, before in zip(layers, old, strict=True):
            weight = layer().weight
            assert torch.equal(weight[:size], before)
            torch.testing.assert_close(weight[rows], before.mean(0).expand(4, -1))
            apart = (weight[size : size + 2] - before.mean(0)).abs().amax(1)
            assert (apart > 1e-3).all()  # placeholders have rows of their own


def test_spare_rows_of_a_vocabulary_are_used(make_tokenizer, make_model):
    tokenizer = make_tokenizer()
    size = len(tokenizer)
    model = make_model(text={"vocab_size": size + 50})
    used = model.get_input_embeddings().weight[:size].clone()
    tokens = add(tokenizer, model)
    weight = model.get_input_embeddings().weight
    assert len(weight) == size + 50
    torch.testing.assert_close(weight[tokens.video_start], used.mean(0))


def test_they_are_never_split_and_survive_a_file(make_tokenizer, make_model, tmp_path):
    tokenizer = make_tokenizer("metaspace")
    tokens = add(tokenizer, make_model())
    tokenizer.save_pretrained(tmp_path)
    again = type(tokenizer).from_pretrained(tmp_path)
    assert VisualTokens.of(again) == tokens
    text = "".join(NAMES)
    assert again(text, add_special_tokens=False)["input_ids"] == list(
        again.convert_tokens_to_ids(list(NAMES))
    )
    assert again.decode(again(text)["input_ids"], skip_special_tokens=True).strip() == ""


def test_the_released_layout_with_one_placeholder(make_tokenizer, make_model):
    tokens = add(make_tokenizer(), make_model())
    released = [1, tokens.image_start, tokens.patch, tokens.video_start, tokens.frame, 9]
    ours = [1, tokens.image_start, tokens.patch, tokens.video_start, tokens.patch, 9]
    assert tokens.one_placeholder(released) == ours
    assert tokens.frame in tokens
    assert 9 not in tokens
