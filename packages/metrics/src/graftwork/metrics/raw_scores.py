"""One number for every frame of every restored clip, and what a metric reports of them."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.raw.evaluation import Restorations, Restored
from graftwork.raw.sensor import Sensor

Planes = Float[Tensor, "time 4 height width"]
Score = Callable[[Planes, Planes, Sensor], Sequence[float]]
"""Restored and true frames to one number each."""


def scores(name: str, evaluation: Restorations, score: Score) -> dict[str, float]:
    """A metric's values: over all, of the noisy input itself, and at every ISO.

    The mean is taken over the frames of a clip, then over the clips of an ISO, then over ISOs, as
    published figures are (Yue et al. 2023, arXiv:2305.00767).

    Raises:
        GraftworkError: a clip has no truth.
    """
    clips = evaluation.clips(adapted=True)
    restored = _by_iso(clips, [fmean(score(c.restored, _truth(name, c), c.sensor)) for c in clips])
    noisy = _by_iso(clips, [fmean(score(c.noisy, _truth(name, c), c.sensor)) for c in clips])
    values = {name: fmean(restored.values()), f"{name}_noisy": fmean(noisy.values())}
    if len(restored) > 1:
        values |= {f"{name}_iso{iso}": value for iso, value in sorted(restored.items())}
    return values


def _by_iso(clips: Sequence[Restored], values: Sequence[float]) -> Mapping[int, float]:
    isos = {clip.iso or 0 for clip in clips}
    return {
        iso: fmean(v for clip, v in zip(clips, values, strict=True) if (clip.iso or 0) == iso)
        for iso in isos
    }


def _truth(name: str, clip: Restored) -> Planes:
    if clip.truth is None:
        raise GraftworkError(
            f"metric.{name}: {clip.name} has no truth to compare with; take the metric out, or "
            "hold out clips with truth"
        )
    return clip.truth
