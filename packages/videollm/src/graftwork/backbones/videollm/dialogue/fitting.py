"""Which turns of a dialogue stay when it is too long; none is ever cut."""

from collections.abc import Sequence


def kept_turns(
    lengths: Sequence[int],
    without_clip: Sequence[bool],
    *,
    last_stays: bool,
    room: int | None,
) -> list[int] | None:
    """The turns that stay, in order, or None where those that have to stay do not fit.

    The first turn stays, and every turn with a clip, and the last one if its answer is to be found.
    Of the others the oldest go first, until the rest fits.

    Args:
        lengths: Tokens of each turn.
        without_clip: Whether a turn holds no clip.
        last_stays: Whether the last turn has to.
        room: Tokens for all turns; None for no limit.
    """
    keep = list(range(len(lengths)))
    if room is None:
        return keep
    end = len(lengths) - last_stays
    spare = [turn for turn in range(1, end) if without_clip[turn]]
    while sum(lengths[turn] for turn in keep) > room:
        if not spare:
            return None
        keep.remove(spare.pop(0))
    return keep
