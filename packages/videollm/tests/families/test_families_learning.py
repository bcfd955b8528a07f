"""What is learned, and what is adapted: answers and their ends, and the decoder alone."""

import pytest
import torch
from torch import nn

from graftwork.backbones.videollm.predicting import predicted
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft
from graftwork.nn.match import match_sites
from graftwork.testing.toy_records import ToyRecords

NEEDS = frozenset({"prediction"})
TURNS = (
    "<video>\nwhere does the sks move?",
    "left, then right!",
    "and the color?",
    "red",
    "is it <video> or <video>?",
    "nothing ü 赤 🎈",
)


pytestmark = pytest.mark.usefixtures("toy_lora")


def whole_text(made, prompt):
    """The prompt's letters, with where each of its tokens lies in them."""
    words = made.llm.tokenizer
    text = words.decode(prompt.ids, clean_up_tokenization_spaces=False)
    again = words(text, add_special_tokens=False, return_offsets_mapping=True)
    assert again["input_ids"] == prompt.ids.tolist()  # read as a whole, it is the same tokens
    return text, again["offset_mapping"]


def test_answers_alone_are_learned_token_by_token(made, film, record):
    asked = record(*TURNS, clips=[film(n, (0.0, 1.0)) for n in range(3)])
    prompt = made.llm.write(asked, made.seeing.of(asked), answered=True)
    text, offsets = whole_text(made, prompt)
    spans, done, end = [], 0, made.llm.dialogues.wording.end
    for answer in TURNS[1::2]:
        start = text.index(answer + end, done)
        done = start + len(answer + end)
        # "ASSISTANT:" asks, so the blank after it is the model's to say.
        spans.append((start - (text[start - 1] == " "), done))
    for (begin, stop), learned in zip(offsets, prompt.supervised.tolist(), strict=True):
        inside = any(begin < last and stop > first for first, last in spans)
        assert learned == inside, repr(text[begin:stop])
    learned = prompt.ids[prompt.supervised]
    said = made.llm.tokenizer.decode(learned, clean_up_tokenization_spaces=False)
    assert [one.strip() for one in said.split(end)] == [*TURNS[1::2], ""]


def test_a_question_reads_the_same_before_its_answer(made, film, record):
    for count in (2, 4, 6):
        texts = TURNS[:count]
        clips = [film(n, (0.0, 1.0)) for n in range("".join(texts[::2]).count("<video>"))]
        asked = record(*texts, clips=clips)
        seen = made.seeing.of(asked)
        short = made.llm.write(asked, seen, answered=False).ids
        long = made.llm.write(asked, seen, answered=True)
        assert torch.equal(long.ids[: len(short)], short)
        assert not long.supervised[len(short) - 1]
        assert all(long.supervised[len(short) :])


def test_default_sites_are_the_decoders_linear_layers(made):
    model = made.module
    layers = model.get_decoder().layers
    wanted = {id(part) for part in layers.modules() if isinstance(part, nn.Linear)}
    sites = match_sites(model, made.default_sites())
    assert {id(site.layer) for site in sites.values()} == wanted
    assert len(sites) == len(wanted) == 2 * 7  # q, k, v, o, gate, up, down of two layers
    decoder = {id(part) for part in model.get_decoder().modules()}
    elsewhere = {id(part) for part in model.modules()} - decoder
    assert not elsewhere & {id(site.layer) for site in sites.values()}


def test_what_sees_is_all_that_is_no_decoder(made):
    model = made.module
    seeing = {id(p) for name in made.llm.towers for p in model.get_submodule(name).parameters()}
    reading = {id(p) for p in model.get_decoder().parameters()}
    reading |= {id(p) for p in model.get_output_embeddings().parameters()}
    alone = {id(p) for p in model.base_model.parameters(recurse=False)}  # LLaVA-OneVision's newline
    assert not seeing & reading
    assert seeing | reading | alone == {id(p) for p in model.parameters()}


def loss_of(made, examples):
    every = range(len(examples))
    step = made.step(examples, every, needs=NEEDS, generator=torch.Generator())
    return nn.functional.cross_entropy(step.logits, step.targets)


def test_an_adapter_on_the_decoder_learns(made):
    examples = made.prepare(ToyRecords())
    before = loss_of(made, examples).item()
    handle = graft(made.module, "toy-lora", {}, sites=made.default_sites())
    optimizer = torch.optim.Adam(handle.parameters(), lr=0.02)
    for _ in range(6):
        optimizer.zero_grad()
        loss_of(made, examples).backward()
        optimizer.step()
    assert loss_of(made, examples).item() < 0.8 * before


def test_an_adapter_on_what_sees_learns_and_is_not_cached(made, film, record):
    asked = record("<video> where?", "left", clips=[film(0)])
    kept = made.seeing.of(asked)[0]["rows"]
    last = made.llm.towers[-1]  # the projector, where there is one
    site = next(n for n in match_sites(made.module, "*") if n.startswith(f"{last}."))
    handle = graft(made.module, "toy-lora", {}, sites=site)
    with torch.no_grad():
        for parameter in handle.parameters():
            parameter.normal_()
    assert not torch.allclose(made.seeing.of(asked)[0]["rows"], kept)
    prompt = made.learning.prompt(asked)
    predicted(made.llm, [prompt])[1].sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in handle.parameters())
    handle.detach()
    assert torch.equal(made.seeing.of(asked)[0]["rows"], kept)


def test_a_record_longer_than_the_context(made, film, record):
    asked = record(*TURNS[:4], clips=[film(0)])
    whole = made.llm.write(asked, made.seeing.of(asked), answered=True)
    made.llm.dialogues.context = len(whole.ids) - 1
    shorter = made.llm.write(asked, made.seeing.of(asked), answered=True)
    alone = record(*TURNS[:2], clips=[film(0)])
    wanted = made.llm.write(alone, made.seeing.of(alone), answered=True)
    assert torch.equal(shorter.ids, wanted.ids)
    made.llm.dialogues.context = 20
    with pytest.raises(GraftworkError, match="a record: does not fit into 20 tokens"):
        made.llm.write(asked, made.seeing.of(asked), answered=True)


def test_a_step_with_and_without_clips(made, film, record):
    """A batch of unlike records gives each the logits that it has alone."""
    one = record("<video> where?", "left", clips=[film(0)])
    none = record("what is red?", "nothing")
    two = record("<video> or <video>?", "up up", clips=[film(1, (0.0, 1.0)), film(2)])
    prompts = [made.learning.prompt(each) for each in (one, none, two)]
    with torch.no_grad():
        together = predicted(made.llm, prompts)[1]
        alone = torch.cat([predicted(made.llm, [each])[1] for each in prompts])
    assert torch.allclose(together, alone, atol=1e-4)


def test_half_precision(made):
    """Rows are kept as the tower makes them, and taken as the decoder has them."""
    made.to(torch.device("cpu"), torch.bfloat16)
    data = ToyRecords()
    examples = made.prepare(data)
    assert made.seeing.of(data.record(0))[0]["rows"].dtype == torch.bfloat16
    step = made.step(examples, [0, 1, 2], needs=NEEDS, generator=torch.Generator())
    assert step.logits.dtype == torch.bfloat16
    assert step.logits.isfinite().all()
