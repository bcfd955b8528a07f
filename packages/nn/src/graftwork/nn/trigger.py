"""Captions with and without their trigger word."""

import re


def has_trigger(caption: str, trigger: str) -> bool:
    """Whether the trigger stands in the caption as a whole word (or words), in any case.

    >>> has_trigger("A photo of SKS cat.", "sks"), has_trigger("two asks", "sks")
    (True, False)
    """
    return _pattern(trigger).search(caption) is not None


def without_trigger(caption: str, trigger: str) -> str:
    """The caption with every trigger removed, and commas and spaces tidied.

    >>> without_trigger("sks, a photo of sks cat, tinted  blue", "sks")
    'a photo of cat, tinted blue'
    """
    bare = _pattern(trigger).sub(" ", caption)
    phrases = (" ".join(phrase.split()) for phrase in bare.split(","))
    return ", ".join(phrase for phrase in phrases if phrase)


def _pattern(trigger: str) -> re.Pattern[str]:
    # In any case, since the tokenizer of CLIP sees no difference between "SKS" and "sks".
    words = r"\s+".join(map(re.escape, trigger.split()))
    return re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)
