"""Finding and removing the trigger."""

import pytest

from graftwork.nn.trigger import has_trigger, without_trigger


@pytest.mark.parametrize(
    ("caption", "free"),
    [
        ("a photo of sks cat", "a photo of cat"),
        ("sks, a photo of a cat", "a photo of a cat"),
        ("a cat, sks, on a mat", "a cat, on a mat"),
        ("a cat, sks", "a cat"),
        ("SKS cat and sks  dog", "cat and dog"),
        ("sks", ""),
        ("(sks) cat", "( ) cat"),
        ("masks of sks", "masks of"),
    ],
)
def test_removal(caption, free):
    assert has_trigger(caption, "sks")
    assert without_trigger(caption, "sks") == free
    assert not has_trigger(free, "sks")


@pytest.mark.parametrize("caption", ["a photo of masks", "sks1", "sk s", "", "a_sks"])
def test_only_whole_words_count(caption):
    assert not has_trigger(caption, "sks")


@pytest.mark.parametrize("trigger", ["ohwx person", "<cat-1>", "s.k+s", "ñandú"])
def test_several_words_and_punctuation(trigger):
    caption = f"a photo of {trigger.replace(' ', '  ')} outdoors"
    assert without_trigger(caption, trigger) == "a photo of outdoors"


def test_a_dot_is_a_dot():
    assert not has_trigger("a photo of sxks", "s.ks")
