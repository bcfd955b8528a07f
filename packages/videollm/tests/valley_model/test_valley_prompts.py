"""Prompts, token by token against the tokenizer's own offsets on the whole text."""

from functools import cache

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from graftwork.backbones.videollm.dialogue.dialogues import Dialogues
from graftwork.backbones.videollm.dialogue.fitting import kept_turns
from graftwork.backbones.videollm.dialogue.tokenised import later_piece
from graftwork.backbones.videollm.valley.template import V1, Template
from graftwork.backbones.videollm.valley.tokens import NAMES, VisualTokens, add_visual_tokens
from graftwork.backbones.videollm.valley.wording import clip_text, valley_dialogues
from graftwork.core.errors import GraftworkError
from graftwork.testing.toy_records import ToyClip
from graftwork.video.record import PLACEHOLDER, Record, Turn

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


class Prompts:
    """Dialogues for one model."""

    def __init__(self, tokenizer, config, template):
        self.tokenizer, self.config, self.template = tokenizer, config, template
        self.tokens = VisualTokens.of(tokenizer)

    def encode(self, turns, frames=(), *, context=None, answered=True):
        dialogues = Dialogues(self.tokenizer, self.template, reserved=NAMES, context=context)
        count = sum(len(PLACEHOLDER.findall(question)) for question, _ in turns)
        record = Record(
            name="film 7",
            clips=tuple(map(ToyClip, range(count))),
            turns=tuple(Turn(*texts) for texts in turns),
        )
        texts = [clip_text(self.config, each) for each in frames]
        return dialogues.encode(record, texts, answered=answered)


@pytest.fixture(scope="module")
def make_prompts(make_tokenizer, make_model):
    @cache
    def make(kind="byte-level", template=V1, **changes):
        tokenizer = make_tokenizer(kind)
        model = make_model(**changes)
        add_visual_tokens(tokenizer, model)
        return Prompts(tokenizer, model.config, template)

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
    ids, supervised = prompts.encode(turns, frames)
    text, spans = whole_text(prompts, turns, frames)
    joint = prompts.tokenizer(text, return_offsets_mapping=True)
    assert ids == joint["input_ids"]
    assert ids[0] == prompts.tokenizer.bos_token_id
    learned = [
        any(begin <= start and end <= stop for begin, stop in spans)
        for start, end in joint["offset_mapping"]
    ]
    learned[0] = False  # BOS has the span (0, 0)
    assert supervised == learned
    rows = sum(map(prompts.config.visual_rows, frames))
    assert ids.count(prompts.tokens.patch) == rows


@pytest.mark.parametrize("kind", ["byte-level", "metaspace", "prepending"])
def test_what_is_learned_reads_as_the_answers(kind, make_prompts):
    prompts = make_prompts(kind)
    turns = [(question, answer.replace("é 赤 🎈", "é")) for question, answer in SEVERAL]
    learned = [t for t, counts in zip(*prompts.encode(turns, FRAMES), strict=True) if counts]
    said = prompts.tokenizer.decode(learned, skip_special_tokens=True)
    assert [part.strip() for part in said.split("###")][:-1] == [answer for _, answer in turns]


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_to_be_answered_is_the_beginning_of_its_training_text(kind, make_prompts):
    prompts = make_prompts(kind)
    whole, supervised = prompts.encode(SEVERAL, FRAMES)
    asked, none = prompts.encode(SEVERAL, FRAMES, answered=False)
    assert whole[: len(asked)] == asked
    assert supervised[: len(asked)] == none
    assert not supervised[len(asked) - 1]
    assert all(supervised[len(asked) :])


# Tokens that a clip takes in the specification's table, of the released shape.
@pytest.mark.parametrize(("frames", "tokens"), [(8, 268), (1, 261)])
def test_a_clip_takes_its_rows_and_four_delimiters(frames, tokens, make_prompts):
    prompts = make_prompts(patches_per_frame=256)
    with_clip = prompts.encode([("what<video>", "red")], [frames])
    without = prompts.encode([("what", "red")])
    assert len(with_clip[0]) - len(without[0]) == tokens


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


def test_a_long_dialogue_loses_its_oldest_turns_without_a_clip(make_prompts):
    prompts = make_prompts()
    turns = [("<video> what", "red"), ("where", "left"), ("<video>", "up"), ("which", "first")]
    frames = [3, 2]
    for drop in ([], [1], [1, 3]):
        kept = [turn for number, turn in enumerate(turns) if number not in drop]
        expected = prompts.encode(kept, frames)
        length = len(expected[0])
        assert prompts.encode(turns, frames, context=length) == expected
    with pytest.raises(GraftworkError, match=f"film 7: does not fit into {length - 1} tokens"):
        prompts.encode(turns, frames, context=length - 1)


def test_the_last_question_stays_if_it_is_to_be_answered(make_prompts):
    prompts = make_prompts()
    turns = [("<video> what", "red"), ("where", "left"), ("which", "a long answer of words")]
    expected = prompts.encode([turns[0], turns[2]], [3], answered=False)
    length = len(expected[0])
    assert prompts.encode(turns, [3], context=length, answered=False) == expected
    with pytest.raises(GraftworkError, match="does not fit"):
        prompts.encode(turns, [3], context=length - 1, answered=False)


def test_which_turns_stay():
    free = [False, True, True, True]
    assert kept_turns([5, 5, 5, 5], free, last_stays=False, room=None) == [0, 1, 2, 3]
    assert kept_turns([5, 5, 5, 5], free, last_stays=False, room=19) == [0, 2, 3]
    assert kept_turns([5, 5, 5, 5], free, last_stays=False, room=5) == [0]
    assert kept_turns([5, 5, 5, 5], free, last_stays=True, room=10) == [0, 3]
    assert kept_turns([5, 5, 5, 5], free, last_stays=True, room=9) is None
    assert kept_turns([5], [True], last_stays=False, room=4) is None


@pytest.mark.parametrize(
    ("turn", "text"),
    [(("<im_patch>", "red"), "<im_patch>"), (("what", "a <vi_end>"), "<vi_end>")],
)
def test_tokens_of_clips_are_nobodys_words(turn, text, make_prompts):
    with pytest.raises(GraftworkError, match=f"film 7: a text contains '{text}'") as caught:
        make_prompts().encode([turn])
    assert "\n" not in str(caught.value)


def test_refuses_tokenizers_that_do_not_belong(make_tokenizer, make_model):
    model, tokenizer = make_model(), make_tokenizer()
    with pytest.raises(GraftworkError, match=f"has no {NAMES[0]}; add Valley's tokens"):
        valley_dialogues(model.config, tokenizer)
    other = make_model()
    add_visual_tokens(tokenizer, other)
    with pytest.raises(GraftworkError, match="where the model has video_token_id = 5"):
        valley_dialogues(model.config, tokenizer)


def test_refuses_a_tokenizer_that_has_clips_as_words(make_tokenizer, make_model):
    """In its vocabulary, but read apart."""
    words = Tokenizer(models.WordLevel({"<unk>": 0, **{n: i + 1 for i, n in enumerate(NAMES)}}))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    model = make_model(video_token_id=1)
    with pytest.raises(GraftworkError, match="a word like any other; add Valley's tokens with"):
        valley_dialogues(model.config, tokenizer)
    add_visual_tokens(tokenizer, model)
    valley_dialogues(model.config, tokenizer)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_answer_is_how_answers_end(kind, make_prompts):
    prompts = make_prompts(kind)
    asked, _ = prompts.encode([("what", "")], answered=False)
    ended, supervised = prompts.encode([("what", "")])
    assert ended[: len(asked)] == asked
    learned = ended[len(asked) :]
    assert learned == [t for t, counts in zip(ended, supervised, strict=True) if counts]
    assert prompts.tokenizer.decode(learned).strip() == prompts.template.stop


def test_a_placeholder_in_an_answer_is_a_word(make_prompts):
    """Only questions name clips."""
    prompts = make_prompts()
    ids, _ = prompts.encode([("what", "a <video>")])
    assert prompts.tokens.patch not in ids


def test_the_model_says_what_its_dialogues_open_with(make_tokenizer, make_model):
    def opening(system):
        tokenizer, model = make_tokenizer(), make_model(system=system)
        add_visual_tokens(tokenizer, model)
        dialogues = valley_dialogues(model.config, tokenizer)
        record = Record(name="r", clips=(ToyClip(0),), turns=(Turn("<video>?", ""),))
        ids, _ = dialogues.encode(record, [clip_text(model.config, 1)], answered=False)
        return tokenizer.decode(ids).split("###")[0]

    assert V1.system in opening(None)
    assert opening("A chat.").strip() == "<s>A chat."
    assert opening("").strip() == "<s>"
