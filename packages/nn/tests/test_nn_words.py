"""Learned words in prompts."""

import pytest
import torch
from torch import nn

from graftwork.core import AdapterSpec, hookimpl
from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.nn import TokenAdapter, graft, load_graft
from graftwork.nn.adapter import Placeholder
from graftwork.nn.words import LearnedWords, Reader, has_opposites, require_words


@config
class PairConfig:
    """Settings."""

    word: str = "sks"
    """Its word."""
    initial: str = ""
    """Words to start from."""


class Pair(TokenAdapter):
    """A word of two vectors and an opposite of one."""

    def __init__(self, site, settings):
        super().__init__(site)
        self.settings = settings
        self.table = nn.Parameter(torch.randn(3, site.rows))

    def placeholders(self):
        word = self.settings.word
        return (
            Placeholder(word=word, vectors=2, initial=self.settings.initial),
            Placeholder(word=f"{word}-neg", vectors=1, opposes=word),
        )

    def start(self, weight):
        self.started_from = dict(self.initial_ids)

    def vectors(self):
        return self.table


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Embedding(7, 4)
        self.more = nn.Embedding(5, 4)

    def token_ids(self, text):
        return [len(word) for word in text.split()]


class Offer:
    @hookimpl
    def adapters(self):
        return [
            AdapterSpec(
                name="pair",
                target=f"{Pair.__module__}:Pair",
                config=PairConfig,
                summary="a test's",
                family="token",
                mergeable=False,
            )
        ]


@pytest.fixture
def model(manager):
    manager.register(Offer(), "pair")
    return Model()


def on(model, word="sks", **options):
    settings = {"word": word, **options.pop("settings", {})}
    return graft(model, "pair", settings, **{"sites": "tokens", "name": word, **options})


def test_words_stand_for_the_ids_of_their_vectors(model):
    on(model)
    on(model, "zwx")
    words = LearnedWords.of(model)
    assert words.ids == {
        "sks": range(7, 9),
        "sks-neg": range(9, 10),
        "zwx": range(10, 12),
        "zwx-neg": range(12, 13),
    }
    assert words.opposites == {"sks": "sks-neg", "zwx": "zwx-neg"}


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a cat", ["a cat"]),
        ("", []),
        ("sks", [range(7, 9)]),
        ("SKS, sks", [range(7, 9), ", ", range(7, 9)]),
        ("asks skss sks_1 sks1", ["asks skss sks_1 sks1"]),
        ("sks-neg sks's", [range(9, 10), " ", range(7, 9), "'s"]),
    ],
)
def test_a_word_counts_whole_and_in_any_case(model, text, pieces):
    on(model)
    words = LearnedWords.of(model)
    assert words.split(text) == pieces
    assert words.used_in(text) == any(isinstance(piece, range) for piece in pieces)


@pytest.mark.parametrize(
    ("text", "negative"),
    [
        ("a cat", ""),
        ("", ""),
        ("a photo of sks cat", "a photo of sks-neg cat"),
        ("Sks and zwx", "sks-neg and zwx-neg"),
        ("asks", ""),
        ("sks-neg", ""),
    ],
)
def test_the_negative_prompt(model, text, negative):
    on(model)
    on(model, "zwx")
    assert LearnedWords.of(model).negative(text) == negative


def test_a_word_with_marks_of_a_pattern(model):
    on(model, "<c++.*>", name="marks")
    words = LearnedWords.of(model)
    assert words.split("a <c++.*> b") == ["a ", range(7, 9), " b"]
    assert words.split("a <c++xx> b") == ["a <c++xx> b"]


def test_disabled_and_weightless_grafts_know_no_words(model):
    handle = on(model)
    with handle.disabled():
        assert not handle.enabled
        assert LearnedWords.of(model) == LearnedWords()
    handle.weight = 0.0
    assert LearnedWords.of(model) == LearnedWords()
    handle.weight = 1.0
    assert LearnedWords.of(model).ids
    handle.weight = 0.5
    with pytest.raises(
        GraftworkError, match=r"graft 'sks': learned words act at weight 1 or.*0\.5"
    ):
        LearnedWords.of(model)
    handle.detach()
    assert LearnedWords.of(model) == LearnedWords()


def test_ids_do_not_move_when_an_earlier_graft_goes(model):
    first, second = on(model), on(model, "zwx")
    before = LearnedWords.of(model).ids["zwx"]
    first.detach()
    assert LearnedWords.of(model).ids["zwx"] == before
    assert torch.equal(model.tokens(torch.tensor(before)), second.sites["tokens"].table[:2])


@pytest.mark.parametrize("word", ["sks", "SKS", "sks-neg"])
def test_a_word_that_is_taken_is_refused(model, word):
    on(model)
    before = dict(LearnedWords.of(model).ids)
    with pytest.raises(GraftworkError, match="stands for other vectors in graft 'sks'"):
        on(model, word, name="other")
    assert LearnedWords.of(model).ids == before


def test_one_word_on_two_embeddings_is_refused(model):
    with pytest.raises(GraftworkError, match=r"at another site of this graft; .*or one site"):
        on(model, sites="*")
    assert not LearnedWords.of(model).ids


def test_a_loaded_graft_has_its_words(model, tmp_path):
    on(model).save(tmp_path / "words")
    other = Model()
    on(other, "zwx")
    load_graft(other, tmp_path / "words")
    assert LearnedWords.of(other).ids["sks"] == range(10, 12)
    again = Model()
    on(again)
    with pytest.raises(GraftworkError, match="'sks' stands for other vectors"):
        load_graft(again, tmp_path / "words")


def test_words_to_start_from_are_read_by_the_model(model):
    assert isinstance(model, Reader)
    handle = on(model, settings={"initial": "a cat"})
    assert handle.sites["tokens"].started_from == {"sks": (1, 3)}
    with pytest.raises(GraftworkError, match=r"adapter.initial: '  ' has no tokens for 'zwx'"):
        on(model, "zwx", settings={"initial": "  "})
    with pytest.raises(GraftworkError, match=r"does not read words; graft on the whole"):
        on(nn.ModuleDict({"tokens": nn.Embedding(3, 2)}), settings={"initial": "a cat"})


def test_captions_have_to_use_the_word(model):
    handle = on(model)
    require_words(handle, ["a cat", "a SKS cat"])
    with pytest.raises(GraftworkError, match=r"'sks' is in no caption \(the first: 'asks'\)"):
        require_words(handle, ["asks", "a sks-less cat".replace("sks", "cat")])


def test_which_grafts_have_opposites(model):
    assert has_opposites(on(model))
    assert not has_opposites(graft(model, "low-rank", sites="more", name="low"))
