"""Dialogues by templates of several styles: what is asked, what is said, and what ends it."""

import itertools
import re

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from graftwork.backbones.videollm.dialogue.dialogues import Dialogues
from graftwork.backbones.videollm.dialogue.wording import Exchange
from graftwork.backbones.videollm.families.template import template_of
from graftwork.core.errors import GraftworkError
from graftwork.video.record import Turn

TURNS = [Turn("<video>\nwhere does it go?", "left"), Turn("and now?", "nothing")]
PART = (
    "{% for p in m['content'] %}{% if p['type'] == 'video' %}<video>{% else %}{{ p['text'] }}"
    "{% endif %}{% endfor %}"
)
LOOP = "{% for m in messages %}%s{% endfor %}{% if add_generation_prompt %}%s{% endif %}"


@pytest.fixture
def processor(family_folder, backbone):
    """That of Video-LLaVA."""
    return backbone(family_folder("video_llava")).llm.processor


@pytest.fixture
def template(processor):
    """A template on the processor, or on its tokenizer."""

    def make(text, *, owner="processor", stops=(), eos="</s>"):
        processor.chat_template = text if owner == "processor" else None
        processor.tokenizer.chat_template = text if owner == "tokenizer" else None
        processor.tokenizer.eos_token = eos
        return template_of(processor, stops)

    return make


def both(loop, ask):
    """A template of what is written for each message, and what asks for an answer."""
    return LOOP.replace("%s", loop, 1).replace("%s", ask)


def test_a_template_that_ends_answers(template):
    made = template(both("[{{ m['role'] }}]" + PART + "<|im_end|>\n", "[assistant]"))
    assert made.end == "<|im_end|>"
    assert made.stops == {"<|im_end|>", "</s>"}
    assert made.exchanges(TURNS) == [
        Exchange("[user]<video>where does it go?<|im_end|>\n[assistant]", "left<|im_end|>"),
        Exchange("\n[user]and now?<|im_end|>\n[assistant]", "nothing<|im_end|>"),
    ]


def test_a_template_that_does_not_gets_the_tokenizers_end(template):
    made = template(both("{{ m['role'] }}: " + PART + " ", "assistant:"))
    assert made.end == "</s>"
    assert made.exchanges(TURNS) == [
        Exchange("user: <video>where does it go? assistant:", " left</s>"),
        Exchange(" user: and now? assistant:", " nothing</s>"),
    ]


def test_a_template_that_ends_all_but_the_last_answer(template):
    loop = (
        "{{ m['role'] }}: "
        + PART
        + "{% if m['role'] == 'assistant' and not loop.last %}</s>{% endif %}"
    )
    made = template(both(loop, "assistant: "))
    assert [one.said for one in made.exchanges(TURNS)] == ["left</s>", "nothing</s>"]


def test_a_token_that_begins_a_question_ends_no_answer(template):
    """A template of special tokens for roles, without one for the end."""
    loop = "{% if m['role'] == 'user' %}<|im_start|>{% else %}<s>{% endif %}" + PART
    made = template(both(loop, "<s>"))
    assert made.exchanges(TURNS) == [
        Exchange("<|im_start|><video>where does it go?<s>", "left</s>"),
        Exchange("<|im_start|>and now?<s>", "nothing</s>"),
    ]


def test_an_answer_is_learned_where_it_is_asked_for(template):
    """Where the template writes an answer's header otherwise than it asks for one."""
    made = template(both("[{{ m['role'] }} ]\n" + PART + "<|im_end|>", "[assistant]\n"))
    assert made.exchanges(TURNS[:1]) == [
        Exchange("[user ]\n<video>where does it go?<|im_end|>[assistant]\n", "left<|im_end|>")
    ]


def test_what_a_template_says_itself_is_said(template):
    loop = "[{{ m['role'] }}]{% if m['role'] == 'assistant' %}(no thought){% endif %}" + PART
    made = template(both(loop + "<|im_end|>", "[assistant]"))
    assert made.exchanges(TURNS[:1])[0].said == "(no thought)left<|im_end|>"


@pytest.mark.parametrize("owner", ["tokenizer", "processor"])
def test_a_template_of_text_alone_has_clips_in_it(template, owner):
    loop = "[{{ m['role'] }}]{{ m['content'] | trim }}<|im_end|>"
    made = template(both(loop, "[assistant]"), owner=owner)
    assert made.exchanges(TURNS)[0] == Exchange(
        "[user]<video>\nwhere does it go?<|im_end|>[assistant]", "left<|im_end|>"
    )


def test_a_tokenizers_template_may_know_of_clips(template):
    text = both("[{{ m['role'] }}]" + PART + "<|im_end|>", "[assistant]")
    own = template(text).exchanges(TURNS)
    assert template(text, owner="tokenizer").exchanges(TURNS) == own


def test_several_clips_stay_where_they_are_asked_about(template):
    made = template(both("[{{ m['role'] }}]" + PART + "<|im_end|>", "[assistant]"))
    asked = [Turn("is <image>\nlike <video> or not? ", "no"), Turn("<video> <video>", "yes")]
    texts = [one.asked for one in made.exchanges(asked)]
    assert texts[0].startswith("[user]is <video>like <video> or not?<|im_end|>")
    assert texts[1].startswith("[user]<video><video><|im_end|>")


def test_answers_are_taken_to_the_letter(template):
    made = template(both("[{{ m['role'] }}]" + PART + "<|im_end|>", "[assistant]"))
    odd = [("a [assistant]", "[assistant]"), ("<video>b", ""), ("c", "left\n\nright {{ x }}")]
    said = [one.said for one in made.exchanges([Turn(*texts) for texts in odd])]
    assert said == ["[assistant]<|im_end|>", "<|im_end|>", "left\n\nright {{ x }}<|im_end|>"]


def test_longer_turns_go_first_those_with_clips_stay(template, processor, record, film):
    made = template(both("[{{ m['role'] }}]" + PART + "<|im_end|>", "[assistant]"))
    dialogues = Dialogues(processor.tokenizer, made)
    asked = record("<video>a", "b", "c", "d", "<video>e", "f", "g", "h", clips=[film(), film()])

    def text(**more):
        ids, _ = dialogues.encode(asked, ["<video>", "<video>"], answered=True, **more)
        return processor.tokenizer.decode(ids)

    whole = text()
    dialogues.context = len(processor.tokenizer(whole)["input_ids"]) - 1
    assert text() == whole.replace("[user]c<|im_end|>[assistant]d<|im_end|>", "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "has no chat template; put the one"),
        ("{{ raise_exception('no system message') }}", r"cannot write .* \(no system message\)"),
        ("{% for m in messages %}{{ m.content[0].text }}", "cannot write questions and answers"),
        (
            "{{ messages | length }}" + both(PART + "<|im_end|>", ":"),
            "writes a dialogue differently once it goes on",
        ),
        (
            "{{ messages[0]['role'] }}<video>{% if add_generation_prompt %}:{% endif %}",
            "leaves out answers",
        ),
        (
            both(PART.replace("<video>", "<image>"), ":"),
            "does not write clips where questions have them",
        ),
    ],
)
def test_templates_that_will_not_do(template, text, why):
    with pytest.raises(GraftworkError, match=why):
        template(text).exchanges(TURNS)


def test_nothing_ends_an_answer(template):
    with pytest.raises(GraftworkError, match="nothing ends an answer; let it write"):
        template(both("{{ m['role'] }}: " + PART, "assistant:"), eos=None)


@pytest.mark.parametrize("text", ["</s>", "<|im_end|>", "<video>"])
def test_texts_that_mean_something_to_the_model(template, processor, record, text):
    made = template(both("[{{ m['role'] }}]" + PART + "<|im_end|>", "[assistant]"))
    dialogues = Dialogues(processor.tokenizer, made)
    asked = record("a", f"b {text}")
    with pytest.raises(GraftworkError, match=re.escape(f"a text contains '{text}', which")):
        dialogues.encode(asked, [], answered=True)
    dialogues.encode(asked, [], answered=False)  # what it is to say is not read


def test_a_template_that_leaves_out_later_clips(template, processor, record, film):
    loop = "{% if loop.first or m['role'] == 'assistant' %}" + PART + "{% endif %}<|im_end|>"
    dialogues = Dialogues(processor.tokenizer, template(both(loop, ":")))
    asked = record("a", "b", "<video>c", "d", clips=[film()])
    with pytest.raises(GraftworkError, match="a record: the chat template writes 0 clips where 1"):
        dialogues.encode(asked, ["<video>"], answered=True)


def spaces_in_front(scheme):
    """As LLaMA's: a space is put in front of a text, or of every part between special tokens."""
    words = Tokenizer(models.BPE(unk_token="<unk>"))
    words.decoder = decoders.Metaspace(prepend_scheme="first")
    if scheme == "every part":
        words.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    else:
        words.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(
        vocab_size=200,
        special_tokens=["<unk>", "<s>", "</s>", "<video>", "<image>"],
        initial_alphabet=[*"▁:\n.,!?"],
        show_progress=False,
    )
    words.train_from_iterator(["user assistant where does it go and now left nothing"], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


@pytest.mark.parametrize("scheme", ["every part", "the text"])
@pytest.mark.parametrize("ask", ["assistant:", "assistant: ", "assistant:\n"])
def test_answers_alone_are_learned_with_spaces_in_front(template, scheme, ask, record, film):
    loop = "{{ m['role'] }}:" + ("\n" if "\n" in ask else " ") + PART + "</s>"
    made = template("<s>" + both(loop, ask))
    words = spaces_in_front(scheme)
    dialogues = Dialogues(words, made)
    turns = ("<video>\nwhere does it go?", "left, now!", "and now?", "nothing")
    asked = record(*turns, clips=[film()])
    ids, learned = dialogues.encode(asked, ["<video>" * 3], answered=True)
    pieces = [text for one in made.exchanges(asked.turns) for text in (one.asked, one.said)]
    pieces[0] = pieces[0].replace("<video>", "<video>" * 3)
    whole = words("".join(pieces), add_special_tokens=False, return_offsets_mapping=True)
    if ask != "assistant: ":  # there, one token would hold the blank and the answer
        assert ids == whole["input_ids"]
        ends = list(itertools.accumulate(map(len, pieces)))
        spans = [(ends[0], ends[1]), (ends[2], ends[3])]
        inside = [any(a < e and b > s for s, e in spans) for a, b in whole["offset_mapping"]]
        assert learned == inside
    said = [token for token, counts in zip(ids, learned, strict=True) if counts]
    assert words.decode(said).replace(" ", "") == "left,now!</s>nothing</s>"
    open_end, _ = dialogues.encode(asked, ["<video>" * 3], answered=False)
    assert ids[: len(open_end)] == open_end
