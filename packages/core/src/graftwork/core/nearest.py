"""What the user probably meant."""

from collections.abc import Iterable

_SHOWN = 12  # more names than this do not help in one line


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The tail of an error about an unknown ``word``: its nearest name, or all the names.

    >>> did_you_mean("rnak", ["rank", "alpha"])
    "; did you mean 'rank'?"
    >>> did_you_mean("zzz", ["rank", "alpha"])
    '; known: alpha, rank'
    >>> did_you_mean("zzz", [])
    ''
    """
    names = sorted(set(known))
    match = nearest(word, names)
    if match is not None:
        return f"; did you mean {match!r}?"
    return f"; known: {_shortened(names)}" if names else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name closest to ``word``, or None when nothing is close.

    >>> nearest("Sine_LoRA", ["lora", "sine-lora"])
    'sine-lora'
    """
    import difflib  # only needed once something is wrong

    plain = {name.lower().replace("_", "-"): name for name in known}
    close = difflib.get_close_matches(word.lower().replace("_", "-"), plain, n=1)
    return plain[close[0]] if close else None


def _shortened(names: list[str]) -> str:
    hidden = len(names) - _SHOWN
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {hidden} more" if hidden > 0 else shown
