"""Answers as benchmarks of visual questions compare them."""

import re

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_APOSTROPHES = re.compile(r"['\u2019`]")
_PUNCTUATION = re.compile(r"[^\w\s.]|\.(?!\d)|_")
_NUMBERS = {
    word: str(number)
    for number, word in enumerate("zero one two three four five six seven eight nine ten".split())
}


def normalised(answer: str) -> str:
    """In lower case, without articles and punctuation, number words as digits, single spaces.

    The common rules of open-ended visual questions (Antol et al. 2015, arXiv:1505.00468).

    >>> normalised("  The red Car, moving. "), normalised("TWO dogs"), normalised("2.5")
    ('red car moving', '2 dogs', '2.5')
    """
    plain = _PUNCTUATION.sub(" ", _APOSTROPHES.sub("", answer.lower()))
    words = _ARTICLES.sub(" ", plain).split()
    return " ".join(_NUMBERS.get(word, word) for word in words)
