"""Settings of the backbones of this distribution."""

from typing import Annotated

from graftwork.core.config import Ge, Gt, config
from graftwork.video.reading.sampling import FrameSampling


@config
class TinyChatSettings:
    """What every video LLM can be told."""

    frames: Annotated[int, Ge(1)] | None = None
    """Frames of a clip, evenly from its first to its last; absent for 8, or for `fps`."""

    fps: Annotated[float, Gt(0)] | None = None
    """Frames a second, in place of `frames`."""

    max_frames: Annotated[int, Ge(1)] | None = None
    """At most so many with `fps`, absent for 128; longer clips are sampled evenly."""

    cache: str | None = None
    """A folder for what the frozen tower makes of clips, shared by runs and searches: a clip is
    then decoded and encoded once for all of them. Absent for memory alone."""

    memory: Annotated[int, Ge(1)] = 2048
    """How many MiB of that stay in memory."""

    workers: Annotated[int, Ge(0)] = 2
    """Processes that decode files; 0 for this one."""

    decode_seconds: Annotated[float, Gt(0)] = 30.0
    """How long a file may take to decode before it counts as unreadable."""

    gradient_checkpointing: bool = False
    """Whether layers are computed again for the backward pass, to save memory."""

    free_tokens: Annotated[int, Ge(1)] = 16
    """Length of the frozen backbone's own answers, for losses that keep them."""

    def __post_init__(self) -> None:
        self.sampling()

    def sampling(self) -> FrameSampling:
        """Which frames are looked at."""
        return FrameSampling(frames=self.frames, fps=self.fps, max_frames=self.max_frames)


@config
class ChatSettings(TinyChatSettings):
    """Those of models from a folder."""

    path: str
    """A folder that `save_pretrained` wrote: the model, its tokenizer and its processor."""


@config
class TinyValleySettings(TinyChatSettings):
    """What every Valley can be told."""

    merged: tuple[str, ...] = ()
    """Runs or adapters that are folded in first, such as the stage of training before this one."""


@config
class ValleySettings(ChatSettings, TinyValleySettings):
    """Settings of a Valley from a folder."""

    legacy: bool = False
    """Whether frames are scaled as the release did it (nearest neighbour to 256), for its weights;
    otherwise as CLIP was trained."""
