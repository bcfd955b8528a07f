"""What this distribution registers: the task of video chat."""

from collections.abc import Iterable

from graftwork.core import TaskSpec, hookimpl


@hookimpl
def tasks() -> Iterable[TaskSpec]:
    """video-chat."""
    yield TaskSpec(
        name="video-chat",
        target="graftwork.video.task:Chatting",
        config="graftwork.video.evaluation:Judging",
        sampling="graftwork.video.task:Asking",
        summary="questions about clips answered in words",
    )
