"""What this distribution registers: the task of raw video."""

from collections.abc import Iterable

from graftwork.core import TaskSpec, hookimpl


@hookimpl
def tasks() -> Iterable[TaskSpec]:
    """raw-video."""
    yield TaskSpec(
        name="raw-video",
        target="graftwork.raw.task:RawVideo",
        config="graftwork.raw.evaluation:Judging",
        sampling="graftwork.raw.task:Denoising",
        summary="noisy raw frames denoised, raw in and raw out",
    )
