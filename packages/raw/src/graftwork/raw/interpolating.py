"""Noise between two calibrated ISOs."""

import math
from collections.abc import Sequence

from graftwork.raw.noise_model import Noise


def between(calibration: Sequence[Noise], iso: int) -> Noise:
    """Straight lines of log a, log b and row over log ISO, between the two nearest neighbours.

    Gain doubles with ISO and read variance at most quadruples, so both are lines in logarithms.
    """
    known = sorted((each.iso, each.a, each.b, each.row) for each in calibration if each.iso)
    low = max(each for each in known if each[0] < iso)
    high = min(each for each in known if each[0] > iso)
    share = math.log(iso / low[0]) / math.log(high[0] / low[0])
    return Noise(
        iso=iso,
        a=_geometric(low[1], high[1], share),
        b=_geometric(low[2], high[2], share),
        row=low[3] + share * (high[3] - low[3]),
    )


def _geometric(low: float, high: float, share: float) -> float:
    return float(low ** (1 - share) * high**share)
