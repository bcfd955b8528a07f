"""Prompts, token by token against the tokenizer's own offsets on the whole text."""

from functools import cache

import pytest

from graftwork.backbones.videollm.valley.fitting import kept_turns
from graftwork.backbones.videollm.valley.pieces import later_piece
from graftwork.backbones.videollm.valley.prompts import ValleyPrompts
from graftwork.backbones.videollm.valley.template import V1, Template
from graftwork.backbones.videollm.valley.tokens import NAMES, add_visual_tokens
from graftwork.core.errors import GraftworkError

KINDS = ["byte-level", "metaspace", "prepending", "words"]
TEMPLATES = {
    "v1": V1,
    "bare": Template(system=""),
    "end": Template(system="system", human="user: ", assistant="answer:", stop="</s>"),
}

ONE = [("<video>\nwhat colour is the square?", "The square is red.")]
SEVERAL = [
    ("<video>\nwhat colour is the square?", "The square is red.\nIt moves left."),
    ("where does it go", "up, é 赤 🎈!"),
    ("which comes first?<image>", "a blue circle"),
    ("a<video>b <video> c", "words 1 2 3"),
]
FRAMES = [3, 1, 2, 5]


@pytest.fixture(scope="module")
def make_prompts(make_tokenizer, make_model):
    @cache
    def make(kind="byte-level", template=V1, **changes):
        tokenizer = make_tokenizer(kind)
        model = make_model(**changes)
        add_visual_tokens(tokenizer, model)
        return ValleyPrompts(tokenizer, model.config, template)

    return make


def expand(config, text, frames):
    """A text with each placeholder written out as names of tokens."""
    for count in frames:
        clip = "<im_start>" + "<im_patch>" * config.patches + "<im_end>"
        if config.frame_tokens:
            clip += "<vi_start>" + "<im_patch>" * count + "<vi_end>"
        first = min((text.find(each), each) for each in ("<video>", "<image>") if each in text)
        text = text.replace(first[1], clip, 1)
    return text


def whole_text(prompts, turns, frames):
    """All of a dialogue as one text, and the spans of characters that are learned."""
    own, left = prompts.template, list(frames)
    text = f"{own.system}\n\n{own.stop}" if own.system else own.stop
    spans = []
    for question, answer in turns:
        count = question.count("<video>") + question.count("<image>")
        now, left = left[:count], left[count:]
        text += expand(prompts.config, f"{own.human}{question}\n{own.stop}{own.assistant}", now)
        if answer is not None:
            said = f" {answer}\n{own.stop}"
            spans.append((len(text), len(text) + len(said)))
            text += said
    return text, spans


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("frame_tokens", [True, False])
@pytest.mark.parametrize(("turns", "frames"), [(ONE, FRAMES[:1]), (SEVERAL, FRAMES)])
def test_ids_and_mask_are_those_of_the_whole_text(
    kind, template, frame_tokens, turns, frames, make_prompts
):
    prompts = make_prompts(kind, TEMPLATES[template], frame_tokens=frame_tokens)
    made = prompts.encode(turns, frames)
    text, spans = whole_text(prompts, turns, frames)
    joint = prompts.tokenizer(text, return_offsets_mapping=True)
    assert made.ids == joint["input_ids"]
    assert made.ids[0] == prompts.tokenizer.bos_token_id
    learned = [
        any(begin <= start and end <= stop for begin, stop in spans)
        for start, end in joint["offset_mapping"]
    ]
    learned[0] = False  # BOS has the span (0, 0)
    assert made.supervised == learned
    assert made.labels == [
        token if counts else -100 for token, counts in zip(made.ids, learned, strict=True)
    ]
    rows = sum(map(prompts.config.visual_rows, frames))
    assert made.placeholders == made.ids.count(prompts.tokens.patch) == rows


@pytest.mark.parametrize("kind", ["byte-level", "metaspace", "prepending"])
def test_what_is_learned_reads_as_the_answers(kind, make_prompts):
    prompts = make_prompts(kind)
    turns = [(question, answer.replace("é 赤 🎈", "é")) for question, answer in SEVERAL]
    made = prompts.encode(turns, FRAMES)
    learned = [t for t, counts in zip(made.ids, made.supervised, strict=True) if counts]
    said = prompts.tokenizer.decode(learned, skip_special_tokens=True)
    assert [part.strip() for part in said.split("###")][:-1] == [answer for _, answer in turns]


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_to_be_answered_is_the_beginning_of_its_training_text(kind, make_prompts):
    prompts = make_prompts(kind)
    whole = prompts.encode(SEVERAL, FRAMES)
    open_end = [*SEVERAL[:-1], (SEVERAL[-1][0], None)]
    asked = prompts.encode(open_end, FRAMES)
    assert whole.ids[: len(asked.ids)] == asked.ids
    assert not any(whole.supervised[len(asked.ids) - 1 : len(asked.ids)])
    assert all(whole.supervised[len(asked.ids) :])
    assert asked.placeholders == whole.placeholders


# Tokens that a clip takes in the specification's table, of the released shape.
@pytest.mark.parametrize(("frames", "tokens"), [(8, 268), (1, 261)])
def test_a_clip_takes_its_rows_and_four_delimiters(frames, tokens, make_prompts):
    prompts = make_prompts(patches_per_frame=256)
    with_clip = prompts.encode([("what<video>", "red")], [frames])
    without = prompts.encode([("what", "red")])
    assert len(with_clip.ids) - len(without.ids) == tokens


def test_an_answer_is_found_in_what_a_model_writes():
    for text in (" red\n###", "red", " Assistant: red\n### Human: more", "\nAssistant:red "):
        assert V1.answer_in(text) == "red"


def test_a_piece_reads_as_in_the_middle_of_a_text(make_tokenizer):
    tokenizer = make_tokenizer("metaspace")
    whole = tokenizer.tokenize("It moves left")
    begun = len(tokenizer.tokenize("It"))
    piece = later_piece(tokenizer, " moves left", before="It")
    assert tokenizer.convert_ids_to_tokens(piece) == whole[begun:]
    assert later_piece(tokenizer, "", before="It") == []
    # In the middle of a word: what holds both cannot be cut, so the piece stands alone.
    alone = tokenizer("uare", add_special_tokens=False)["input_ids"]
    assert later_piece(tokenizer, "uare", before="the sq") == alone


def lengths(prompts, turns, frames):
    return [len(prompts.encode(turns[:n], frames).ids) for n in range(1, len(turns) + 1)]


def test_a_long_dialogue_loses_its_oldest_turns_without_a_clip(make_prompts):
    prompts = make_prompts()
    turns = [("<video> what", "red"), ("where", "left"), ("<video>", "up"), ("which", "first")]
    frames = [3, 2]
    whole = prompts.encode(turns, frames)
    for drop in ([], [1], [1, 3]):
        kept = [turn for number, turn in enumerate(turns) if number not in drop]
        expected = prompts.encode(kept, frames)
        length = len(expected.ids)
        assert prompts.encode(turns, frames, max_length=length) == expected
        assert expected.placeholders == whole.placeholders
    with pytest.raises(GraftworkError, match=f"film 7: does not fit into {length - 1} tokens"):
        prompts.encode(turns, frames, max_length=length - 1, name="film 7")


def test_the_last_question_stays_if_it_is_to_be_answered(make_prompts):
    prompts = make_prompts()
    turns = [("<video> what", "red"), ("where", "left"), ("which", None)]
    expected = prompts.encode([turns[0], turns[2]], [3])
    assert prompts.encode(turns, [3], max_length=len(expected.ids)) == expected
    with pytest.raises(GraftworkError, match="does not fit"):
        prompts.encode(turns, [3], max_length=len(expected.ids) - 1)


def test_which_turns_stay():
    free = [False, True, True, True]
    assert kept_turns([5, 5, 5, 5], free, last_stays=False, room=None) == [0, 1, 2, 3]
    assert kept_turns([5, 5, 5, 5], free, last_stays=False, room=19) == [0, 2, 3]
    assert kept_turns([5, 5, 5, 5], free, last_stays=False, room=5) == [0]
    assert kept_turns([5, 5, 5, 5], free, last_stays=True, room=10) == [0, 3]
    assert kept_turns([5, 5, 5, 5], free, last_stays=True, room=9) is None
    assert kept_turns([5], [True], last_stays=False, room=4) is None


@pytest.mark.parametrize(
    ("turns", "frames", "message"),
    [
        ([], [], "clip: has no question"),
        ([("<video>", "")], [1], "clip: turn 1 has no answer"),
        ([("<video>", " \n")], [1], "clip: turn 1 has no answer"),
        ([("<video>", None), ("what", "red")], [1], "clip: turn 1 has no answer"),
        ([("what", "red")], [1], "clip: 0 placeholders for 1 clips"),
        ([("<video><image>", "red")], [1], "clip: 2 placeholders for 1 clips"),
        ([("<video>", "red")], [0], "clip: a clip has no frame"),
        ([("<im_patch>", "red")], [], "clip: a text contains <im_patch>"),
        ([("what", "a <vi_end>")], [], "clip: a text contains <vi_end>"),
    ],
)
def test_refuses(turns, frames, message, make_prompts):
    with pytest.raises(GraftworkError, match=message) as caught:
        make_prompts().encode(turns, frames, name="clip")
    assert "\n" not in str(caught.value)


def test_refuses_tokenizers_that_do_not_belong(make_tokenizer, make_model):
    model, tokenizer = make_model(), make_tokenizer()
    with pytest.raises(GraftworkError, match=f"has no {NAMES[0]}; add Valley's tokens"):
        ValleyPrompts(tokenizer, model.config)
    other = make_model()
    add_visual_tokens(tokenizer, other)
    with pytest.raises(GraftworkError, match="where the model has video_token_id = 5"):
        ValleyPrompts(tokenizer, model.config)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_answer_where_it_may_be_one_is_how_answers_end(kind, make_prompts):
    prompts = make_prompts(kind)
    asked = prompts.encode([("what", None)])
    ended = prompts.encode([("what", "")], may_be_empty=True)
    assert ended.ids[: len(asked.ids)] == asked.ids
    learned = ended.ids[len(asked.ids) :]
    assert learned == [t for t, counts in zip(ended.ids, ended.supervised, strict=True) if counts]
    assert prompts.tokenizer.decode(learned).strip() == prompts.template.stop
    with pytest.raises(GraftworkError, match="turn 1 has no answer"):
        prompts.encode([("what", None), ("what", "red")], may_be_empty=True)


def test_a_placeholder_in_an_answer_is_a_word(make_prompts):
    """Only questions name clips."""
    made = make_prompts().encode([("what", "a <video>")])
    assert made.placeholders == 0


def test_the_model_says_what_its_dialogues_open_with(make_tokenizer, make_model):
    def opening(system):
        tokenizer, model = make_tokenizer(), make_model(system=system)
        add_visual_tokens(tokenizer, model)
        made = ValleyPrompts(tokenizer, model.config).encode([("<video>?", None)], [1])
        return tokenizer.decode(made.ids).split("###")[0]

    assert V1.system in opening(None)
    assert opening("A chat.").strip() == "<s>A chat."
    assert opening("").strip() == "<s>"
