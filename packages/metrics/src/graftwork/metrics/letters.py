"""Which option an answer in words means."""

import re
from collections.abc import Sequence
from string import ascii_uppercase

from graftwork.metrics.normalising import normalised

# In this order: the first that fits decides.
_PATTERNS = (
    r"(?i:answer)\s*(?:is|:)\s*:?\s*\(?([A-Z])\b",
    r"(?i:option)\s*\(?([A-Z])\b",
    r"\(([A-Z])\)",
    r"^\s*([A-Z])\s*(?:[.):,]|$)",
    r"\b([A-Z])\s*[.):]",
)


def meant(answer: str, options: Sequence[str]) -> int | None:
    """The place of the option that is meant; None where none, or nothing certain, is.

    A letter counts where it stands as one: after "answer is", in brackets, before a full stop, or
    alone. Failing that, the one option whose words are in the answer.

    >>> meant("The answer is (B).", ["left", "right"]), meant("to the left", ["left", "right"])
    (1, 0)
    """
    letters = ascii_uppercase[: len(options)]
    for pattern in _PATTERNS:
        found = re.search(pattern, answer)
        if found is not None:
            return letters.find(found[1]) if found[1] in letters else None
    said = f" {normalised(answer)} "
    places = [i for i, option in enumerate(options) if f" {normalised(option)} " in said]
    return places[0] if len(places) == 1 else None
