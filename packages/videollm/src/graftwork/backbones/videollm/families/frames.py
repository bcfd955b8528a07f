"""A clip as a processor takes it: its frames, and when each is shown."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import ProcessorMixin
from transformers.video_utils import VideoMetadata

from graftwork.core.errors import GraftworkError
from graftwork.video.clip import Clip

_TICKS = 1_000_000
"""Ticks a second: a processor tells time by the numbers of frames, and these are microseconds."""

_LAST = 1 / 24
"""How long the last frame is shown, in seconds; a clip does not tell."""


def processed(processor: ProcessorMixin, clip: Clip) -> Mapping[str, Any]:
    """What a processor makes of the frames of a clip, all of them, and the text that they become.

    The text is under "text", and the rest under the names that the model knows.

    Raises:
        GraftworkError: the processor cannot take the clip.
    """
    clip = _filled(clip, getattr(processor.video_processor, "temporal_patch_size", 1))
    try:
        made = processor(
            text=[processor.video_token],
            videos=[clip.frames],
            video_metadata=[metadata(clip)],
            input_data_format="channels_first",
            do_sample_frames=False,
            return_text_replacement_offsets=True,
            return_tensors="pt",
        )
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise GraftworkError(
            f"{clip.name}: {type(processor).__name__} cannot take it ({reason}); see the settings "
            "in processor_config.json"
        ) from error
    [[replaced]] = made["text_replacement_offsets"]
    return {**made, "text": replaced["replacement"]}


def metadata(clip: Clip) -> VideoMetadata:
    """When the frames of a clip are shown, exactly, in the terms of transformers.

    `timestamps` are the clip's times, and `sampled_fps` is the rate of the frames as they are.
    """
    last, count = clip.times[-1], len(clip)
    step = (last - clip.times[0]) / max(count - 1, 1) or 1.0
    height, width = clip.frames.shape[-2:]
    return VideoMetadata(
        total_num_frames=round(count * step * _TICKS),
        fps=float(_TICKS),
        width=width,
        height=height,
        duration=last + min(step, _LAST),
        frames_indices=[round(time * _TICKS) for time in clip.times],
    )


def _filled(clip: Clip, least: int) -> Clip:
    """The same with its last frame shown again, where a model takes several frames at once.

    Processors do so with an odd number of frames, but some refuse a single one.
    """
    missing = least - len(clip)
    if missing <= 0:
        return clip
    frames = torch.cat([clip.frames, clip.frames[-1:].expand(missing, -1, -1, -1)])
    return Clip(clip.name, frames, (*clip.times, *clip.times[-1:] * missing))
