"""Textual inversion and DreamArtist: the kit, the rules of their start, and their counts."""

import math

import pytest
import torch
from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import graft
from graftwork.testing import TokenSuite
from graftwork.testing.tokens import Reading


class TestTextualInversion(TokenSuite):
    name = "textual-inversion"


class TestSeveralVectors(TokenSuite):
    name = "textual-inversion"
    settings = {"vectors": 5}


class TestDreamArtist(TokenSuite):
    name = "dreamartist"


class Spelled(Reading):
    """Ids that a text spells."""

    def token_ids(self, text):
        return [int(word) for word in text.split()]


def on(method, settings, model=None):
    model = model or Spelled()
    handle = graft(model, method, {"placeholder": "zed", **settings}, sites="tokens")
    return handle.sites["tokens"]


@pytest.mark.parametrize(
    ("vectors", "initial", "rows"),
    [
        (1, "4", [4]),
        (3, "4", [4, 4, 4]),
        (3, "4 5", [4, 4, 5]),
        (4, "4 5 6", [4, 4, 5, 6]),
        (6, "4 5 6", [4, 4, 5, 5, 6, 6]),
        (2, "4 5 6 7 8", [4, 6]),
    ],
)
def test_vector_i_starts_as_token_floor_of_i_m_over_n(vectors, initial, rows):
    adapter = on("textual-inversion", {"vectors": vectors, "initial": initial})
    given = [int(word) for word in initial.split()]
    assert rows == [given[math.floor(i * len(given) / vectors)] for i in range(vectors)]
    assert torch.equal(adapter.learned, adapter.site.frozen()[rows])
    pair = on("dreamartist", {"negative_vectors": vectors, "initial": initial})
    torch.testing.assert_close(pair.negative, pair.site.frozen()[rows], atol=5e-3, rtol=0)


def test_without_words_it_starts_as_long_as_the_table():
    model = nn.Sequential(nn.Embedding(50, 400))
    with torch.no_grad():
        model[0].weight.mul_(torch.linspace(0.5, 3, 50)[:, None])
    handle = graft(model, "textual-inversion", {"placeholder": "zed", "vectors": 200}, sites="0")
    learned = handle.sites["0"].learned
    mean = model[0].weight.norm(dim=1).mean()
    assert (learned.norm(dim=1) / mean).mean().item() == pytest.approx(1, abs=0.02)
    assert abs(learned.mean().item()) < 0.01 * mean


@pytest.mark.parametrize("settings", [{}, {"initial": "4 5"}])
def test_the_negative_word_starts_a_thousandth_away(settings):
    """Section 5.2: noise of 1e-3 is all that separates a pair of equal words."""
    adapter = on("dreamartist", {"vectors": 3, "negative_vectors": 300, **settings})
    rows = torch.arange(300) * 3 // 300
    if settings:
        rows = torch.tensor([4, 5])[torch.arange(300) * 2 // 300]
        apart = adapter.negative - adapter.site.frozen()[rows]
    else:
        apart = adapter.negative - adapter.positive[rows]
    assert apart.std().item() == pytest.approx(1e-3, rel=0.1)


def test_the_negative_word_may_start_elsewhere():
    adapter = on("dreamartist", {"initial": "4", "negative_initial": "7", "negative_vectors": 2})
    table = adapter.site.frozen()
    assert torch.equal(adapter.positive, table[[4, 4, 4]])
    torch.testing.assert_close(adapter.negative, table[[7, 7]], atol=5e-3, rtol=0)


def test_counts_of_stable_diffusion_1():
    """Section 5.4: 3 and 6 vectors of 768 are 6,912 numbers."""
    with torch.device("meta"):
        model = nn.Sequential(nn.Embedding(49408, 768))
    assert graft(model, "dreamartist", {"placeholder": "sks"}, sites="0").num_parameters() == 6912
    one = graft(model, "textual-inversion", {"placeholder": "zed"}, sites="0", name="one")
    assert one.num_parameters() == 768


def test_the_words_of_a_pair():
    positive, negative = on("dreamartist", {}).placeholders()
    assert (positive.word, positive.vectors, positive.opposes) == ("zed", 3, "")
    assert (negative.word, negative.vectors, negative.opposes) == ("zed-neg", 6, "zed")


@pytest.mark.parametrize("method", ["textual-inversion", "dreamartist"])
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"placeholder": ""}, "adapter.placeholder: is empty; write the word"),
        ({"placeholder": "two words"}, "placeholder: 'two words' is several words"),
        ({"vectors": 0}, "vectors: expected .*at least 1"),
        ({"initial": "  "}, "adapter.initial: '  ' has no tokens for 'zed'"),
    ],
)
def test_bad_settings_are_refused(method, settings, says):
    with pytest.raises(GraftworkError, match=says):
        on(method, settings)


def test_words_need_a_model_that_reads():
    with pytest.raises(GraftworkError, match=r"adapter.initial: this model does not read words"):
        on("textual-inversion", {"initial": "cat"}, nn.ModuleDict({"tokens": nn.Embedding(4, 3)}))
