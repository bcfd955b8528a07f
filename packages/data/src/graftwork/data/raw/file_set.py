"""Sets of clips whose frames lie in files: what checks and identifies them."""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator

from graftwork.data.raw.mosaicking import UnprocessedClip
from graftwork.raw.clip import RawClip
from graftwork.raw.files.folder_clip import FileClip
from graftwork.raw.videos import RawVideos

_FIRST = 2**24
"""Bytes of a clip's first file that are looked at: all of a frame, some of a film."""

OnDisk = FileClip | UnprocessedClip
"""A clip whose frames lie in files."""


class FileVideos(RawVideos):
    """Clips of files, read frame by frame when asked for."""

    @abstractmethod
    def files(self) -> Iterator[OnDisk]:
        """Every clip of the set, noisy ones and truths."""

    def check(self) -> None:
        """Open every clip, and look at its first frame and at the size of all.

        Raises:
            GraftworkError: naming the file that cannot be used.
        """
        for index in range(len(self)):
            self.pair(index)

    def hash(self) -> str:
        """Hash of the names and sizes of all files and of the first bytes of each clip; all bytes
        would take as long to read as a training."""
        digest = hashlib.sha256()
        for clip in self.files():
            for path in clip.paths:
                digest.update(f"{path.name} {path.stat().st_size};".encode())
            with clip.paths[0].open("rb") as first:
                digest.update(first.read(_FIRST))
            digest.update(f"{clip.sensor} {clip.iso}".encode())
        return digest.hexdigest()


def file_clips(*clips: RawClip | None) -> Iterator[OnDisk]:
    """Those of some clips that lie in files as they are, the ones below a crop included."""
    for clip in clips:
        below = getattr(clip, "clip", getattr(clip, "clean", clip))
        if isinstance(below, OnDisk):
            yield below
