"""An answer that comes in pieces, without what surrounds it."""

from collections.abc import Iterable, Iterator


def answer_pieces(pieces: Iterable[str], *, stop: str = "", role: str = "") -> Iterator[str]:
    """The same text up to `stop` and without `role` before it, without blanks at its ends.

    What may turn out to be the role, the beginning of the stop, or the last blank, is held back
    until the next piece tells.

    >>> pieces = ["Assistant", ":", " to", " the left", chr(10), "#", "##", " Human"]
    >>> list(answer_pieces(pieces, stop="###", role="Assistant:"))
    ['to', ' the left']
    """
    held, said = "", False
    for piece in _before(stop, pieces):
        held += piece
        if not said:
            if role.startswith(held.strip()):
                continue
            held = held.lstrip().removeprefix(role).lstrip()
        sure = len(held.rstrip())
        if sure:
            yield held[:sure]
            held, said = held[sure:], True
    if not said and (rest := held.strip().removeprefix(role)):
        yield rest


def _before(stop: str, pieces: Iterable[str]) -> Iterator[str]:
    """What comes before the stop."""
    held = ""
    for piece in pieces:
        held += piece
        if stop and stop in held:
            yield held[: held.index(stop)]
            return
        sure = len(held) - _beginning(held, stop)
        yield held[:sure]
        held = held[sure:]
    yield held


def _beginning(text: str, stop: str) -> int:
    """How many letters at the end of a text are the first ones of `stop`."""
    return next((n for n in range(len(stop) - 1, 0, -1) if text.endswith(stop[:n])), 0)
