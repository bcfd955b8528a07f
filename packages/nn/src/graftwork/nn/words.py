"""Learned words: which words of a prompt stand for vectors, and what opposes them.

A prompt is text; an embedding gains vectors under new token ids. Between the two stand the
*placeholders* of the token adapters on a model: words that a backbone, when it encodes a prompt,
replaces by the ids of their vectors. A word counts as in `graftwork.nn.trigger`: whole, and in
any case.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.nn.adapter import Adapter, Placeholder, TokenAdapter
from graftwork.nn.handle import Graft, grafts
from graftwork.nn.trigger import has_trigger


@runtime_checkable
class Reader(Protocol):
    """A model that reads text: what `Backbone.module` has to be for learned words.

    Token adapters that start from words ask it for their ids.
    """

    def token_ids(self, text: str) -> Sequence[int]:
        """Ids of a text's tokens, without those that mark its start, its end or padding."""


@dataclass(frozen=True)
class LearnedWords:
    """The placeholders that act on a model, with the ids of their vectors."""

    ids: Mapping[str, range] = field(default_factory=dict)
    """Token ids by placeholder."""
    opposites: Mapping[str, str] = field(default_factory=dict)
    """The placeholder that opposes another one in negative prompts."""

    @classmethod
    def of(cls, model: nn.Module) -> "LearnedWords":
        """What the grafts on `model` have learned; a disabled graft knows no words.

        Raises:
            GraftworkError: a graft of learned words has a weight other than 0 and 1.
        """
        ids: dict[str, range] = {}
        opposites: dict[str, str] = {}
        for handle in grafts(model).values():
            for word, (placeholder, numbers) in _words(handle).items():
                ids[word] = numbers
                if placeholder.opposes:
                    opposites[placeholder.opposes] = word
        return cls(ids, opposites)

    def split(self, text: str) -> list[str | range]:
        """The text in order: plain pieces, and the ids that stand for its placeholders.

        >>> LearnedWords({"sks": range(9, 11)}).split("a photo of SKS cat")
        ['a photo of ', range(9, 11), ' cat']
        """
        if not self.ids:
            return [text]
        by_word = {word.lower(): numbers for word, numbers in self.ids.items()}
        pieces = _pattern(self.ids).split(text)  # the odd ones are placeholders
        found = [by_word[p.lower()] if odd % 2 else p for odd, p in enumerate(pieces)]
        return [piece for piece in found if piece != ""]

    def used_in(self, text: str) -> bool:
        """Whether a placeholder stands in the text."""
        return bool(self.ids) and _pattern(self.ids).search(text) is not None

    def negative(self, text: str) -> str:
        """The negative prompt of a prompt: every word that has an opposite replaced by it.

        Empty for a text without such a word: what does not use a learned pair is not changed.

        >>> words = LearnedWords({"sks": range(9, 11)}, {"sks": "sks-neg"})
        >>> words.negative("a sks cat"), words.negative("a cat")
        ('a sks-neg cat', '')
        """
        if not self.opposites:
            return ""
        by_word = {word.lower(): opposite for word, opposite in self.opposites.items()}
        opposed = _pattern(self.ids).sub(lambda m: by_word.get(m[0].lower(), m[0]), text)
        return opposed if opposed != text else ""


def refuse_taken_words(model: nn.Module, adapters: Iterable[Adapter]) -> None:
    """Refuse token adapters whose words are taken, on the model or among themselves.

    Raises:
        GraftworkError: a placeholder stands for other vectors already.
    """
    owners = {word.lower(): name for name, h in grafts(model).items() for word in _placeholders(h)}
    for adapter in adapters:
        for placeholder in _of(adapter):
            word = placeholder.word.lower()
            if word in owners:
                owner = owners[word]
                where = f"in graft '{owner}'" if owner else "at another site of this graft"
                raise GraftworkError(
                    f"adapter.placeholder: '{word}' stands for other vectors {where}; choose "
                    "another word" + ("" if owner else ", or one site")
                )
            owners[word] = ""


def read_initial(model: nn.Module, adapter: TokenAdapter) -> dict[str, tuple[int, ...]]:
    """Token ids of the words that each placeholder starts from, by placeholder.

    Raises:
        GraftworkError: the model reads no text, or the words have no tokens.
    """
    initial = {one.word: one.initial for one in adapter.placeholders() if one.initial}
    if initial and not isinstance(model, Reader):
        raise GraftworkError(
            "adapter.initial: this model does not read words; graft on the whole "
            "`backbone.module`, or leave it empty"
        )
    found: dict[str, tuple[int, ...]] = {}
    for word, text in initial.items():
        assert isinstance(model, Reader)
        found[word] = tuple(model.token_ids(text))
        if not found[word]:
            raise GraftworkError(
                f"adapter.initial: {text!r} has no tokens for '{word}' to start from; write a "
                "word, or leave it empty"
            )
    return found


def require_words(handle: Graft, captions: Iterable[str]) -> None:
    """Refuse a placeholder that no caption uses: its vectors would never train.

    Raises:
        GraftworkError: naming the placeholder.
    """
    if not _placeholders(handle):
        return  # the captions may be more than fit into memory
    captions = list(captions)
    for word, placeholder in _placeholders(handle).items():
        if not placeholder.opposes and not any(has_trigger(text, word) for text in captions):
            raise GraftworkError(
                f"adapter.placeholder: '{word}' is in no caption (the first: '{captions[0]}'); "
                "leave it out to take the data's trigger, or write it into the captions"
            )


def has_opposites(handle: Graft) -> bool:
    """Whether some word of a graft belongs in negative prompts."""
    return any(placeholder.opposes for placeholder in _placeholders(handle).values())


def _words(handle: Graft) -> dict[str, tuple[Placeholder, range]]:
    """The placeholders of a graft that acts, each with the ids of its vectors."""
    numbered: dict[str, tuple[Placeholder, range]] = {}
    for adapter in handle.sites.values():
        first = getattr(adapter, "first_id", 0)
        for placeholder in _of(adapter):
            last = first + placeholder.vectors
            numbered[placeholder.word] = placeholder, range(first, last)
            first = last
    if not numbered or not handle.enabled or handle.weight == 0.0:
        return {}
    if handle.weight != 1.0:
        raise GraftworkError(
            f"graft '{handle.name}': learned words act at weight 1 or, at 0, not at all; there "
            f"is nothing between, so set its weight of {handle.weight:g} to one of the two"
        )
    return numbered


def _placeholders(handle: Graft) -> dict[str, Placeholder]:
    return {one.word: one for adapter in handle.sites.values() for one in _of(adapter)}


def _of(adapter: Adapter) -> Iterator[Placeholder]:
    yield from adapter.placeholders() if isinstance(adapter, TokenAdapter) else ()


def _pattern(words: Iterable[str]) -> re.Pattern[str]:
    # The longest first: "sks-neg" is no "sks" with something behind it.
    ordered = sorted(words, key=len, reverse=True)
    choice = "|".join(map(re.escape, ordered))
    return re.compile(rf"(?<!\w)({choice})(?!\w)", re.IGNORECASE)
