"""An answer that comes in pieces, without what surrounds it."""

from collections.abc import Iterable, Iterator


def answer_pieces(pieces: Iterable[str], stop: str = "") -> Iterator[str]:
    """The same text up to `stop`, without blanks at its ends.

    What may turn out to be the beginning of the stop, or the last blank, is held back until the
    next piece tells.

    >>> list(answer_pieces([" to", " the left", chr(10), "#", "##", " Human"], "###"))
    ['to', ' the left']
    """
    held, begun = "", False
    for piece in pieces:
        held += piece
        if not begun:
            held = held.lstrip()
            begun = bool(held)
        if stop and stop in held:
            last = held[: held.index(stop)].rstrip()
            if last:
                yield last
            return
        sure = len(held) - _beginning(held, stop)
        sure = len(held[:sure].rstrip())
        if sure:
            yield held[:sure]
            held = held[sure:]
    if held.rstrip():
        yield held.rstrip()


def _beginning(text: str, stop: str) -> int:
    """How many letters at the end of a text are the first ones of `stop`."""
    return next((n for n in range(len(stop) - 1, 0, -1) if text.endswith(stop[:n])), 0)
