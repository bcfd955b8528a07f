"""Learned words in training and sampling, against texts encoded by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from graftwork.backbones.diffusion import text
from graftwork.backbones.diffusion.backbone import StableDiffusion
from graftwork.core.errors import GraftworkError
from graftwork.losses.denoising import Denoising, DenoisingConfig
from graftwork.losses.dreamartist import DreamArtistLoss, DreamArtistLossConfig
from graftwork.nn import Graft, frozen, graft
from graftwork.nn.denoising import DenoisingStep
from graftwork.nn.words import LearnedWords

Make = Callable[..., StableDiffusion]
GUIDED = frozenset({"prediction", "negative"})
PROMPTS = ["a photo of sks cat", "a photo of cat", ""]


def words(backbone: StableDiffusion, method: str, *, size: float = 1.0, **settings: Any) -> Graft:
    settings = {"placeholder": "sks", **settings}
    handle = graft(backbone.module, method, settings, sites=backbone.token_sites())
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in handle.parameters():
            parameter.normal_(std=size)
    return handle


def one_step(
    backbone: StableDiffusion, data: Any, needs: frozenset[str] = GUIDED, seed: int = 5
) -> DenoisingStep:
    generator = torch.Generator().manual_seed(seed)
    return backbone.step(backbone.prepare(data), [0, 2, 1], needs=needs, generator=generator)


def by_hand(backbone: StableDiffusion, caption: str, learned: dict[str, Tensor]) -> Tensor:
    """The text encoder on embeddings that are put together here; letters are tokens."""
    encoder, tokenizer = backbone.module.text_encoder, backbone.tokenizer
    table = backbone.module.text_encoder.get_input_embeddings()
    rows = [table(torch.tensor([tokenizer.bos_token_id]))]
    for word in caption.split():
        ids = tokenizer(word, add_special_tokens=False).input_ids
        rows.append(learned[word] if word in learned else table(torch.tensor(ids)))
    rows.append(table(torch.tensor([tokenizer.eos_token_id])))
    whole = torch.cat(rows)
    padding = table(torch.tensor([tokenizer.pad_token_id] * (77 - len(whole))))
    inputs = torch.cat([whole, padding])[None]
    hidden = encoder.embeddings(inputs_embeds=inputs)
    mask = torch.full((77, 77), float("-inf")).triu(1)[None, None]
    hidden = encoder.encoder(inputs_embeds=hidden, attention_mask=mask).last_hidden_state
    found: Tensor = encoder.final_layer_norm(hidden)
    return found


def test_prompts_are_embedded_with_the_vectors_in_place(make_backbone: Make) -> None:
    backbone = make_backbone()
    handle = words(backbone, "dreamartist", vectors=2, negative_vectors=3)
    (adapter,) = handle.sites.values()
    learned = {"sks": adapter.positive, "sks-neg": adapter.negative}
    for prompt in ("a photo of sks cat", "sks-neg cat sks", "a cat"):
        ours = text.embed_texts(
            backbone.module.text_encoder,
            backbone.tokenizer,
            [prompt],
            LearnedWords.of(backbone.module),
        )
        torch.testing.assert_close(ours, by_hand(backbone, prompt, learned), atol=1e-5, rtol=0)


def test_texts_without_a_word_are_tokenised_as_ever(make_backbone: Make) -> None:
    backbone = make_backbone()
    texts = ["a photo of cat, two", "", "asks " * 60]
    before = text.tokenize(backbone.tokenizer, texts)
    words(backbone, "textual-inversion")
    known = LearnedWords.of(backbone.module)
    assert torch.equal(text.tokenize(backbone.tokenizer, texts, known), before)
    ids = text.tokenize(backbone.tokenizer, ["sks " + "cat " * 60], known)
    assert ids.shape == (1, 77)
    assert ids[0, 1] == known.ids["sks"][0]
    assert ids[0, -1] == backbone.tokenizer.eos_token_id


def test_both_predictions_come_from_one_pass_and_each_from_its_caption(
    make_backbone: Make, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = make_backbone()
    handle = words(backbone, "dreamartist", vectors=2, negative_vectors=3)
    batches: list[int] = []
    forward = backbone.module.unet.forward

    def counted(sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        batches.append(len(sample))
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(backbone.module.unet, "forward", counted)
    step = one_step(backbone, squares())
    assert batches == [6]
    (adapter,) = handle.sites.values()
    learned = {"sks": adapter.positive, "sks-neg": adapter.negative}
    generator = torch.Generator().manual_seed(5)
    torch.randn(2, 3, 4, 8, 8, generator=generator)
    times = torch.randint(1000, (3,), generator=generator)
    assert step.time is not None
    torch.testing.assert_close(step.time, times / 999)
    for field, word in (("prediction", "sks"), ("negative", "sks-neg")):
        captions = [f"a photo of {word} cat {index % 2}" for index in (0, 2, 1)]
        condition = torch.cat([by_hand(backbone, one, learned) for one in captions])
        expected = forward(step.noisy, times, encoder_hidden_states=condition).sample
        torch.testing.assert_close(getattr(step, field), expected, atol=1e-5, rtol=0)


def test_what_is_needed_decides_what_is_computed(make_backbone: Make, squares: Any) -> None:
    backbone = make_backbone()
    words(backbone, "dreamartist")
    plain = one_step(backbone, squares(), frozenset({"prediction"}))
    assert plain.negative is None
    all_three = one_step(backbone, squares(), GUIDED | {"free"})
    pair = one_step(backbone, squares())
    for field in ("prediction", "negative"):
        one, other = getattr(all_three, field), getattr(pair, field)
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    torch.testing.assert_close(plain.prediction, pair.prediction, atol=1e-6, rtol=0)
    # A caption without the word is the backbone's own.
    assert all_three.adapted_free is not None
    torch.testing.assert_close(
        all_three.adapted_free, all_three.frozen_free, atol=1e-6, rtol=0, check_device=False
    )


def test_only_the_vectors_get_gradients(make_backbone: Make, squares: Any) -> None:
    backbone = make_backbone()
    handle = words(backbone, "dreamartist")
    loss = DreamArtistLoss(DreamArtistLossConfig(reconstruction=0.5))
    loss(one_step(backbone, squares())).backward()
    for name, parameter in handle.named_parameters():
        assert parameter.grad is not None
        assert (parameter.grad.abs().amax(1) > 0).all(), name
    own = {id(p) for p in handle.parameters()}
    others = [p for p in backbone.module.parameters() if id(p) not in own]
    assert all(p.grad is None for p in [*others, *backbone.vae.parameters()])


def test_a_dropped_caption_has_an_empty_negative(make_backbone: Make, squares: Any) -> None:
    backbone = make_backbone(caption_dropout=0.999999)
    words(backbone, "dreamartist")
    step = one_step(backbone, squares())
    torch.testing.assert_close(step.prediction, step.negative, atol=1e-6, rtol=0)


def test_the_decoder_of_the_step_is_the_vaes(make_backbone: Make, squares: Any) -> None:
    backbone = make_backbone()
    step = one_step(backbone, squares(), frozenset())
    assert step.decode is not None
    expected = backbone.vae.decode(step.clean / 0.18215).sample
    torch.testing.assert_close(step.decode(step.clean), expected)


def test_guidance_of_one_trains_as_textual_inversion(make_backbone: Make, squares: Any) -> None:
    """O5.4, through a whole training: the negative stays and the positive goes the same way."""
    start = torch.randn(2, 16, generator=torch.Generator().manual_seed(8))

    def trained(method: str, loss: Any, key: str) -> dict[str, Tensor]:
        backbone = make_backbone()
        handle = words(backbone, method, vectors=2)
        state = handle.state_dict()
        with torch.no_grad():
            next(t for k, t in state.items() if k.endswith(key)).copy_(start)
        optimizer = torch.optim.SGD(handle.parameters(), lr=50.0)
        for seed in range(3):
            loss(one_step(backbone, squares(), loss.needs, seed=seed)).backward()
            optimizer.step()
            optimizer.zero_grad()
        return {k.rpartition(".")[2]: t.clone() for k, t in handle.state_dict().items()}

    ours = trained("dreamartist", DreamArtistLoss(DreamArtistLossConfig(guidance=1.0)), "positive")
    plain = trained("textual-inversion", Denoising(DenoisingConfig()), "learned")
    torch.testing.assert_close(ours["positive"], plain["learned"], atol=1e-5, rtol=1e-4)
    assert (ours["positive"] - start).abs().max() > 0.01
    backbone = make_backbone()
    untouched = words(backbone, "dreamartist", vectors=2).state_dict()
    assert torch.equal(ours["negative"], next(t for k, t in untouched.items() if "negative" in k))


@pytest.mark.parametrize("method", ["textual-inversion", "dreamartist"])
def test_samples_change_where_the_word_is_and_nowhere_else(
    method: str, make_backbone: Make
) -> None:
    backbone = make_backbone()
    before = backbone.sample(PROMPTS, [0, 1, 2], steps=2, guidance=3.0)
    handle = words(backbone, method)
    after = backbone.sample(PROMPTS, [0, 1, 2], steps=2, guidance=3.0)
    assert (after[0] - before[0]).abs().max() > 1e-3
    assert torch.equal(after[1:], before[1:])
    with frozen(backbone.module):
        assert torch.equal(backbone.sample(PROMPTS, [0, 1, 2], steps=2, guidance=3.0), before)
    handle.weight = 0.0
    assert torch.equal(backbone.sample(PROMPTS, [0, 1, 2], steps=2, guidance=3.0), before)


def test_the_negative_word_is_put_into_the_negative_prompt(make_backbone: Make) -> None:
    """Against the pipeline, which is given both embeddings by hand."""
    backbone = make_backbone()
    handle = words(backbone, "dreamartist", vectors=2, negative_vectors=3)
    (adapter,) = handle.sites.values()
    learned = {"sks": adapter.positive, "sks-neg": adapter.negative}
    ours = backbone.sample(["a sks cat"], [4], steps=3, guidance=3.0)
    without = backbone.sample(["a sks cat"], [4], steps=3, guidance=1.0)
    from graftwork.backbones.diffusion.sampling import start_noise

    backbone.pipeline.set_progress_bar_config(disable=True)
    with torch.no_grad():
        theirs = backbone.pipeline(
            prompt_embeds=by_hand(backbone, "a sks cat", learned),
            negative_prompt_embeds=by_hand(backbone, "a sks-neg cat", learned),
            num_inference_steps=3,
            guidance_scale=3.0,
            latents=start_noise((4, 8, 8), [4]),
            height=16,
            width=16,
            output_type="pt",
        ).images
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert not torch.equal(ours, without)


def test_two_words_in_one_prompt(make_backbone: Make) -> None:
    backbone = make_backbone()
    first = words(backbone, "dreamartist", vectors=2, negative_vectors=3)
    second = graft(
        backbone.module,
        "textual-inversion",
        {"placeholder": "zwx", "vectors": 2},
        sites=backbone.token_sites(),
        name="second",
    )
    learned = {"sks": next(iter(first.sites.values())).positive}
    learned["zwx"] = next(iter(second.sites.values())).learned
    known = LearnedWords.of(backbone.module)
    encoder, tokenizer = backbone.module.text_encoder, backbone.tokenizer
    ours = text.embed_texts(encoder, tokenizer, ["sks and zwx"], known)
    expected = by_hand(backbone, "sks and zwx", learned)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
    assert known.negative("sks and zwx") == "sks-neg and zwx"


def test_words_to_start_from_are_those_of_the_tokenizer(make_backbone: Make) -> None:
    backbone = make_backbone()
    table = backbone.module.text_encoder.get_input_embeddings().weight.detach().clone()
    handle = graft(
        backbone.module,
        "textual-inversion",
        {"placeholder": "sks", "initial": "cat", "vectors": 3},
        sites=backbone.token_sites(),
    )
    ids = backbone.tokenizer("cat", add_special_tokens=False).input_ids
    assert torch.equal(next(handle.parameters()), table[ids])


def test_a_prompt_that_the_vectors_make_too_long_is_told(make_backbone: Make, squares: Any) -> None:
    backbone = make_backbone()
    words(backbone, "textual-inversion", vectors=70)
    with pytest.warns(UserWarning, match=r"a photo of sks cat.*84 tokens, the encoder reads 77"):
        backbone.prepare(squares())
    with pytest.warns(UserWarning, match=r"a photo of sks.*the encoder reads 77"):
        backbone.sample(["a photo of sks cat"], [0], steps=1)


def test_half_precision(make_backbone: Make, squares: Any) -> None:
    exact = make_backbone()
    words(exact, "dreamartist", size=0.3)
    backbone = make_backbone()
    handle = words(backbone, "dreamartist", size=0.3)
    backbone.to(torch.device("cpu"), torch.bfloat16)
    assert {p.dtype for p in handle.parameters()} == {torch.float32}
    step = one_step(backbone, squares())
    wide = one_step(exact, squares())
    torch.testing.assert_close(step.negative, wide.negative, atol=0.05, rtol=0.05)
    assert step.negative is not None
    step.negative.square().mean().backward()
    for name, parameter in handle.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any() == name.endswith("negative")


def test_a_loss_that_needs_a_negative_word_says_so(backbone: StableDiffusion, squares: Any) -> None:
    with pytest.raises(GraftworkError, match="needs a learned negative word; choose"):
        one_step(backbone, squares())
