"""A clip on disk."""

from dataclasses import dataclass
from pathlib import Path

from graftwork.video.clip import Clip
from graftwork.video.reading.clip import clip_key, read_clip
from graftwork.video.reading.sampling import FrameSampling
from graftwork.video.source import ClipSource


@dataclass(frozen=True)
class FileSource(ClipSource):
    """A film, a folder of frames, or a picture."""

    path: Path
    backwards: bool = False

    @property
    def name(self) -> str:
        """Its file's name."""
        return self.path.name

    def key(self, sampling: FrameSampling) -> str:
        """Hash of the file's bytes."""
        return clip_key(self.path, sampling) + ("-backwards" if self.backwards else "")

    def read(self, sampling: FrameSampling) -> Clip:
        """Decoded in this process; `graftwork.video.reading.workers` decodes many."""
        clip = read_clip(self.path, sampling)
        return clip.reversed() if self.backwards else clip
