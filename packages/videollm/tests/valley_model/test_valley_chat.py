"""Chat templates of tokenizers, token by token against the tokenizer's own offsets."""

import re

import pytest
from transformers import AutoTokenizer

from graftwork.backbones.videollm.dialogue.chat_template import ChatTemplate
from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.backbones.videollm.valley.released import our_config
from graftwork.backbones.videollm.valley.template import V1, Template
from graftwork.backbones.videollm.valley.tokens import add_visual_tokens
from graftwork.backbones.videollm.valley.wording import clip_text, valley_dialogues, wording_of
from graftwork.core.errors import GraftworkError
from graftwork.testing.toy_records import ToyClip
from graftwork.video.record import PLACEHOLDER, Record, Turn

STYLES = {
    # Of LLaMA 2: each turn between the tokens of a text, blanks on both sides of an answer.
    "instructions": (
        "{% for m in messages %}"
        "{% if m.role == 'system' %}{{ raise_exception('nobody may speak but two') }}"
        "{% elif m.role == 'user' %}{{ bos_token }}[INST] {{ m.content.strip() }} [/INST]"
        "{% else %} {{ m.content.strip() }} {{ eos_token }}{% endif %}{% endfor %}"
    ),
    # Of Qwen: each message between tokens of its own, and a system message if none is given.
    "markup": (
        "{% if messages[0].role != 'system' %}<|im_start|>system\nA chat.<|im_end|>\n{% endif %}"
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    # Of Vicuna: roles in words, and a token after an answer alone.
    "roles": (
        "{{ bos_token }}A chat. {% for m in messages %}"
        "{% if m.role == 'user' %}USER: {{ m.content }} {% else %}"
        "ASSISTANT: {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    ),
}
ENDS = {"instructions": " </s>", "markup": "<|im_end|>", "roles": "</s>"}
KINDS = ["byte-level", "metaspace", "prepending"]
SEVERAL = [
    ("<video>\nwhat colour is the square?", "The square is red.\nIt moves left."),
    ("where does it go", "up, é 赤 🎈!"),
    ("which comes first? <image>", "[INST] a blue circle"),
    ("a <video>b <video> c", "words 1 2 3"),
]
FRAMES = [3, 1, 2, 5]


@pytest.fixture
def make(make_tokenizer, make_model):
    """A tokenizer with a template, and the configuration of a model that goes with it."""

    def make(style, kind="byte-level", **changes):
        tokenizer, model = make_tokenizer(kind), make_model(**changes)
        tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
        tokenizer.chat_template = STYLES.get(style, style)
        add_visual_tokens(tokenizer, model)
        return tokenizer, model.config

    return make


def record_of(texts):
    count = sum(len(PLACEHOLDER.findall(question)) for question, _ in texts)
    clips = tuple(map(ToyClip, range(count)))
    return Record(name="film 7", clips=clips, turns=tuple(Turn(*each) for each in texts))


def encode(tokenizer, config, texts=SEVERAL, frames=FRAMES, *, answered=True, context=None):
    dialogues = valley_dialogues(config, tokenizer)
    dialogues.context = context
    clips = [clip_text(config, count) for count in frames]
    return dialogues.encode(record_of(texts), clips, answered=answered)


def whole_text(tokenizer, config, style, *, ask=False):
    """What the template makes of the dialogue with all in it, and the spans that are learned."""
    clips = iter(FRAMES)
    messages = [] if config.system is None else [{"role": "system", "content": config.system}]
    for question, answer in SEVERAL:
        asked = PLACEHOLDER.sub(lambda _: clip_text(config, next(clips)), question)
        messages.append({"role": "user", "content": asked})
        messages.append({"role": "assistant", "content": answer})
    messages = messages[:-1] if ask else messages
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask)
    spans, done = [], 0
    for _, answer in SEVERAL[: -1 if ask else None]:
        start = text.index(answer + ENDS[style], done)
        done = start + len(answer + ENDS[style])
        spans.append((start - (text[start - 1] == " "), done))  # the blank is the model's to say
    return text, spans


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("frame_tokens", [True, False])
def test_ids_and_mask_are_those_of_the_whole_text(make, style, kind, frame_tokens):
    tokenizer, config = make(style, kind, frame_tokens=frame_tokens)
    ids, supervised = encode(tokenizer, config)
    text, spans = whole_text(tokenizer, config, style)
    joint = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    wanted = joint["input_ids"]
    offsets = joint["offset_mapping"]
    if style == "markup":
        if tokenizer("")["input_ids"]:  # the template leaves the first token to the tokenizer
            wanted, offsets = [tokenizer.bos_token_id, *wanted], [(0, 0), *offsets]
        assert text[spans[-1][1] :] == "\n"  # which comes after the last answer's end
    assert ids == wanted[: len(ids)]
    assert all(begin >= spans[-1][1] for begin, _ in offsets[len(ids) :])
    learned = [any(a < end and b > start for start, end in spans) for a, b in offsets[: len(ids)]]
    assert supervised == learned
    assert ids.count(config.video_token_id) == sum(map(config.visual_rows, FRAMES))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("style", STYLES)
def test_a_prompt_to_be_answered_ends_where_the_template_asks(make, style, kind):
    tokenizer, config = make(style, kind)
    whole, supervised = encode(tokenizer, config)
    asked, none = encode(tokenizer, config, answered=False)
    assert whole[: len(asked)] == asked
    assert supervised[: len(asked)] == none
    assert all(supervised[len(asked) :])
    text, _ = whole_text(tokenizer, config, style, ask=True)
    wanted = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert asked[-len(wanted) :] == wanted


@pytest.mark.parametrize("style", STYLES)
def test_what_is_learned_reads_as_the_answers(make, style):
    tokenizer, config = make(style)
    learned = [token for token, counts in zip(*encode(tokenizer, config), strict=True) if counts]
    end = ENDS[style].strip()
    said = tokenizer.decode(learned).split(end)
    assert [part.strip() for part in said] == [*(answer for _, answer in SEVERAL), ""]
    assert valley_dialogues(config, tokenizer).wording.end == end


def test_a_system_line_of_the_model_is_a_system_message(make):
    tokenizer, config = make("markup", system="Speak briefly.")
    text, _ = whole_text(tokenizer, config, "markup")
    assert text.startswith("<|im_start|>system\nSpeak briefly.<|im_end|>\n<|im_start|>user")
    ids, _ = encode(tokenizer, config)
    wanted = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids[1:] == wanted[: len(ids) - 1]
    tokenizer, config = make("instructions", system="Speak briefly.")
    with pytest.raises(GraftworkError, match="nobody may speak but two"):
        valley_dialogues(config, tokenizer)


@pytest.mark.parametrize("style", STYLES)
def test_a_long_dialogue_loses_its_oldest_turn_without_a_clip(make, style):
    tokenizer, config = make(style)
    shorter = encode(tokenizer, config, [SEVERAL[0], *SEVERAL[2:]])
    context = len(shorter[0])
    assert encode(tokenizer, config, context=context) == shorter
    with pytest.raises(GraftworkError, match=f"film 7: does not fit into {context - 1} tokens"):
        encode(tokenizer, config, context=context - 1)


@pytest.mark.parametrize("text", ["<|im_end|>", "</s>", "<im_patch>", "\ue000", "\ue001"])
def test_nobodys_words_hold_what_means_something_to_the_model(make, text):
    tokenizer, config = make("markup")
    for turn in ((f"a {text}", "b"), ("a", f"b{text}")):
        with pytest.raises(
            GraftworkError, match=f"film 7: a text contains {re.escape(repr(text))}"
        ):
            encode(tokenizer, config, [turn], [])


def test_whose_words_they_are(make, make_tokenizer):
    tokenizer, config = make("markup")
    assert isinstance(wording_of(config, tokenizer), ChatTemplate)
    config.template = "valley"
    assert wording_of(config, tokenizer) == V1
    config.system = ""
    assert wording_of(config, tokenizer) == Template(system="")
    config.template = None
    assert wording_of(config, make_tokenizer()) == Template(system="")
    config.template = "tokenizer"
    with pytest.raises(GraftworkError, match=r"tokenizer: has no chat template; put .* or write"):
        wording_of(config, make_tokenizer())
    with pytest.raises(GraftworkError, match="template = 'llama': choose from valley, tokenizer"):
        ValleyConfig(template="llama")


def test_it_is_saved_with_the_model(make, tmp_path):
    tokenizer, config = make("instructions", template="tokenizer")
    tokenizer.save_pretrained(tmp_path)
    config.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path), ValleyConfig.from_pretrained(tmp_path)
    assert again[1].template == "tokenizer"
    assert encode(*again) == encode(tokenizer, config)


def test_released_weights_keep_the_words_they_were_trained_in(make):
    tokenizer, config = make("markup")
    released = our_config({"hidden_size": 64}, video_token_id=config.video_token_id)
    assert wording_of(released, tokenizer) == V1


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ raise_exception('text is not taken') }}", r"cannot write .* \(text is not taken\)"),
        ("{% for m in messages %}{{ m.content }", "cannot write questions and answers"),
        ("{% for m in messages %}{{ m.content[0].text }}{% endfor %}", "does not write clips"),
        ("{{ messages[0].content }}", "leaves out answers"),
        (
            "{{ messages | length }}{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}",
            "writes a dialogue differently once it goes on",
        ),
    ],
)
def test_templates_that_will_not_do(make, template, why):
    tokenizer, config = make(template)
    with pytest.raises(GraftworkError, match=f"^tokenizer: chat_template: {why}") as caught:
        valley_dialogues(config, tokenizer)
    assert "or write 'template': 'valley' into config.json" in str(caught.value)
    assert "\n" not in str(caught.value)
    config.template = "valley"
    valley_dialogues(config, tokenizer)


def test_nothing_ends_an_answer(make):
    tokenizer, config = make("{% for m in messages %}{{ m.content }}{% endfor %}")
    assert valley_dialogues(config, tokenizer).wording.end == "</s>"
    tokenizer.eos_token = None
    with pytest.raises(GraftworkError, match="nothing ends an answer; let it write"):
        valley_dialogues(config, tokenizer)


def test_what_ends_generation_ends_an_answer(make):
    """Special tokens do; a configuration may name the last token of another vocabulary."""
    tokenizer, config = make("instructions")
    dialogues = valley_dialogues(config, tokenizer, stops=["<|im_end|>", "the"])
    assert set(dialogues.ending.ids) == set(
        tokenizer.convert_tokens_to_ids(["<|im_end|>", tokenizer.eos_token])
    )
