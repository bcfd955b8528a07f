"""Answers: the same with and without a cache, padding, chunks and kept features."""

import pytest
import torch
from transformers import GenerationConfig
from transformers.modeling_outputs import BaseModelOutputWithPooling

from graftwork.core.errors import GraftworkError

TEMPORAL = ["mean", "max", "importance", "delta"]
LENGTH = 8


def generate(model, input_ids, **kwargs):
    settings = {"max_new_tokens": LENGTH, "min_new_tokens": LENGTH, "do_sample": False}
    return model.generate(input_ids=input_ids, **(settings | kwargs))


def features(model, pixels):
    """Rows of clips from kept tower features, as `generate` takes them."""
    seen = [model.tower_features(each) for each in pixels]
    return {"video": model.features_from_tower(seen)}


def without_cache(model, ids, pixels):
    for _ in range(LENGTH):
        scores = model(input_ids=ids, pixel_values_videos=pixels).logits[:, -1]
        scores[:, [model.config.text_config.eos_token_id, model.config.video_token_id]] = -torch.inf
        ids = torch.cat([ids, scores.argmax(-1, keepdim=True)], 1)
    return ids


@pytest.fixture(params=TEMPORAL)
def model(request, make_model):
    return make_model(request.param)


def test_a_cache_changes_nothing(model, clip, prompt):
    ids = prompt(model.config, 3)
    cached = generate(model, ids, pixel_values_videos=clip(1, 3))
    assert torch.equal(cached, without_cache(model, ids, clip(1, 3)))
    assert len(set(cached[0, -LENGTH:].tolist())) > 2  # or the test would tell nothing


def test_the_clip_counts(model, clip, prompt):
    ids = prompt(model.config, 3)
    one = model(input_ids=ids, pixel_values_videos=clip(1, 3)).logits
    other = model(input_ids=ids, pixel_values_videos=clip(1, 3, seed=1)).logits
    assert (one - other).abs().max() > 1e-2


@pytest.mark.parametrize(
    "more", [{}, {"num_beams": 3}, {"num_beams": 2, "num_return_sequences": 2}]
)
def test_kept_features_answer_as_pixels_do(model, clip, prompt, more):
    ids = prompt(model.config, 3)
    pixels = clip(1, 3)
    seen = generate(model, ids, pixel_values_videos=pixels, **more)
    assert torch.equal(
        seen, generate(model, ids, mm_encoder_outputs=features(model, pixels), **more)
    )


@pytest.mark.parametrize("more", [{}, {"num_beams": 3}, {"prefill_chunk_size": 4}])
def test_the_tower_is_called_once(make_model, clip, prompt, tower_calls, more):
    model = make_model()
    calls = tower_calls(model)
    generate(model, prompt(model.config, 3), pixel_values_videos=clip(1, 3), **more)
    assert calls["tower"] == 1


def test_the_tower_rests_where_features_are_kept(make_model, clip, prompt, tower_calls):
    model = make_model()
    kept = features(model, clip(1, 3))
    calls = tower_calls(model)
    generate(model, prompt(model.config, 3), mm_encoder_outputs=kept)
    assert not calls


@pytest.mark.parametrize("size", [1, 3, 5, 100])
def test_a_prompt_read_in_chunks(model, clip, prompt, size):
    ids = prompt(model.config, 3, 1)
    clips = [clip(3), clip(1, seed=1)]
    whole = generate(model, ids, pixel_values_videos=clips)
    assert torch.equal(
        whole, generate(model, ids, pixel_values_videos=clips, prefill_chunk_size=size)
    )


@pytest.mark.parametrize("more", [{}, {"num_beams": 3}])
def test_a_batch_padded_on_the_left_answers_as_each_alone(model, clip, prompt, more):
    frames = [(3,), (), (1, 2), (5,)]
    clips = [[clip(n, seed=10 * i + n) for n in own] for i, own in enumerate(frames)]
    alone = [prompt(model.config, *own, seed=i) for i, own in enumerate(frames)]
    longest = max(ids.shape[1] for ids in alone)
    rows = [
        torch.cat([torch.zeros(longest - ids.shape[1], dtype=torch.long), ids[0]]) for ids in alone
    ]
    ids = torch.stack(rows)
    flat = [each for own in clips for each in own]
    together = generate(
        model, ids, attention_mask=(ids != 0).long(), pixel_values_videos=flat, **more
    )
    for row, own, single in zip(together, clips, alone, strict=True):
        expected = generate(model, single, pixel_values_videos=own or None, **more)
        assert torch.equal(row[-LENGTH:], expected[0, -LENGTH:])


def test_padding_on_either_side_leaves_logits_alone(model, clip, prompt):
    ids = prompt(model.config, 3)
    plain = model(input_ids=ids, pixel_values_videos=clip(1, 3)).logits
    padding = torch.zeros(1, 4, dtype=torch.long)
    for order in ([padding, ids], [ids, padding]):
        padded = torch.cat(order, 1)
        mask = (padded != 0).long()
        places = (mask.cumsum(1) - 1).clamp(min=0)
        logits = model(
            input_ids=padded,
            attention_mask=mask,
            position_ids=places,
            pixel_values_videos=clip(1, 3),
        ).logits
        torch.testing.assert_close(logits[mask.bool()], plain[0], rtol=1e-4, atol=1e-4)


def test_drawn_answers_repeat_with_the_seed(make_model, clip, prompt):
    model = make_model()
    ids = prompt(model.config, 3)
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append(generate(model, ids, pixel_values_videos=clip(1, 3), do_sample=True))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_text_alone_is_the_decoder_alone(model, prompt):
    ids = prompt(model.config)
    decoder = model.model.decoder
    torch.testing.assert_close(model(input_ids=ids).logits, decoder(input_ids=ids).logits)
    never = [model.config.video_token_id]
    assert torch.equal(generate(model, ids), generate(decoder, ids, suppress_tokens=never))


def test_an_image_is_a_clip_of_one_frame(model, clip, prompt):
    ids = prompt(model.config, 1)
    assert generate(model, ids, pixel_values_videos=clip(1, 1)).shape == (1, ids.shape[1] + LENGTH)


def test_embeddings_in_the_place_of_ids(model, clip, prompt):
    ids = prompt(model.config, 3)
    pixels = clip(1, 3)
    logits = model(input_ids=ids, pixel_values_videos=pixels).logits
    words = model.get_input_embeddings()(ids)
    found = model(inputs_embeds=words, pixel_values_videos=pixels).logits
    assert torch.equal(found, logits)
    filled = model.model.embed(ids, pixel_values_videos=pixels)
    assert torch.equal(model(inputs_embeds=filled).logits, logits)
    new = model.generate(inputs_embeds=filled, max_new_tokens=LENGTH, min_new_tokens=LENGTH)
    # From embeddings, only what is new is returned.
    assert torch.equal(new, generate(model, ids, pixel_values_videos=pixels)[:, -LENGTH:])


def test_the_hidden_state_is_what_the_head_reads(make_model, clip, prompt):
    model = make_model()
    ids = prompt(model.config, 3)
    hidden = model.model(input_ids=ids, pixel_values_videos=clip(1, 3)).last_hidden_state
    logits = model(input_ids=ids, pixel_values_videos=clip(1, 3)).logits
    torch.testing.assert_close(model.get_output_embeddings()(hidden), logits)
    kept = model(input_ids=ids, pixel_values_videos=clip(1, 3), logits_to_keep=2).logits
    torch.testing.assert_close(kept, logits[:, -2:])
    places = torch.tensor([3, 7])
    kept = model(input_ids=ids, pixel_values_videos=clip(1, 3), logits_to_keep=places).logits
    torch.testing.assert_close(kept, logits[:, places])


def test_tuples_for_those_who_ask(make_model, clip, prompt):
    model = make_model()
    inputs = {"input_ids": prompt(model.config, 3), "pixel_values_videos": clip(1, 3)}
    as_tuple = model(**inputs, return_dict=False)
    assert isinstance(as_tuple, tuple)
    assert torch.equal(as_tuple[0], model(**inputs).logits)


def test_features_handed_in_stay_as_they_are(make_model, clip, prompt):
    model = make_model()
    ids = prompt(model.config, 3)
    kept = features(model, clip(1, 3))
    before = kept["video"].pooler_output.clone()
    first = model(input_ids=ids, mm_encoder_outputs=kept).logits
    assert list(kept) == ["video"]
    assert torch.equal(kept["video"].pooler_output, before)
    assert torch.equal(model(input_ids=ids, mm_encoder_outputs=kept).logits, first)
    generate(model, ids, mm_encoder_outputs=kept, num_beams=3)
    assert list(kept) == ["video"]
    assert torch.equal(kept["video"].pooler_output, before)


def test_a_decoder_that_treats_its_logits_is_asked_for_them(make_model, prompt):
    """Granite divides its logits; a head of our own would not know."""
    from transformers import GraniteConfig

    sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "logits_scaling": 8.0}
    model = make_model(text_config=GraniteConfig(**sizes))
    ids = prompt(model.config)
    hidden = model.model(input_ids=ids).last_hidden_state
    logits = model(input_ids=ids).logits
    torch.testing.assert_close(logits, model.get_output_embeddings()(hidden) / 8)


def bad_inputs(model, clip, prompt):
    ids, pixels = prompt(model.config, 3), clip(1, 3)
    rows = features(model, pixels)
    wide = {"video": BaseModelOutputWithPooling(pooler_output=torch.zeros(1, 7, 31))}
    return {
        "7 placeholders for 6 rows": {"input_ids": ids, "pixel_values_videos": clip(1, 2)},
        "7 placeholders for 14 rows": {"input_ids": ids, "pixel_values_videos": clip(2, 3)},
        "0 placeholders for 7 rows": {"input_ids": ids[:, :1], "pixel_values_videos": pixels},
        "7 placeholders and no clip": {"input_ids": ids},
        "rows of width 31 where the decoder has 32": {"input_ids": ids, "mm_encoder_outputs": wide},
        "either `pixel_values_videos` or": {
            "input_ids": ids,
            "pixel_values_videos": pixels,
            "mm_encoder_outputs": rows,
        },
        "either `input_ids` or `inputs_embeds`": {},
    }


@pytest.mark.parametrize("number", range(7))
def test_refuses_in_one_line(number, make_model, clip, prompt):
    model = make_model()
    message, inputs = list(bad_inputs(model, clip, prompt).items())[number]
    with pytest.raises(GraftworkError, match=message) as caught:
        model(**inputs)
    assert "\n" not in str(caught.value)


def test_refuses_a_prompt_without_its_clip_in_generate_too(make_model, prompt):
    model = make_model()
    ids = prompt(model.config, 3)
    for more in ({}, {"prefill_chunk_size": 2}, {"pixel_values_videos": None}):
        with pytest.raises(GraftworkError, match="7 placeholders and no clip"):
            generate(model, ids, **more)
    with pytest.raises(GraftworkError, match="7 placeholders and no clip"):
        model.generate(ids)


def test_a_dialogue_goes_on_from_its_cache(make_model, clip, prompt):
    model = make_model()
    ids, pixels = prompt(model.config, 3), clip(1, 3)
    first = generate(
        model,
        ids,
        pixel_values_videos=pixels,
        return_dict_in_generate=True,
        max_new_tokens=3,
        min_new_tokens=3,
    )
    longer = torch.cat([first.sequences, torch.tensor([[9, 10, 11]])], 1)
    expected = generate(model, longer, pixel_values_videos=pixels)
    again = generate(model, longer, past_key_values=first.past_key_values)
    assert torch.equal(again, expected)


def test_the_placeholder_is_never_written(make_model, clip, prompt):
    """Else what a model wrote could not be read again: one placeholder too many."""
    model = make_model()
    inputs = {"input_ids": prompt(model.config, 3), "pixel_values_videos": clip(1, 3)}
    token = model.config.video_token_id
    with torch.no_grad():
        likeliest = model(**inputs).logits[0, -1].argmax()
        head = model.get_output_embeddings().weight
        head[token] = 2 * head[likeliest]
    assert model(**inputs).logits[0, -1].argmax() == token
    for more in ({}, {"generation_config": GenerationConfig(max_new_tokens=LENGTH)}):
        written = generate(model, inputs["input_ids"], pixel_values_videos=clip(1, 3), **more)
        assert (written == token).sum() == 7
    asked = generate(
        model, inputs["input_ids"], pixel_values_videos=clip(1, 3), suppress_tokens=[9]
    )
    assert (asked == token).sum() > 7


def test_after_the_prompt_a_placeholder_is_a_word(make_model, clip, prompt):
    model = make_model()
    inputs = {"input_ids": prompt(model.config, 3), "pixel_values_videos": clip(1, 3)}
    cache = model(**inputs, use_cache=True).past_key_values
    word = torch.tensor([[model.config.video_token_id]])
    assert model(input_ids=word, past_key_values=cache).logits.isfinite().all()
