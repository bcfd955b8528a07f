"""What the frozen towers make of clips: looked at once, and kept."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor

from graftwork.backbones.videollm.seen import Seen, Store
from graftwork.backbones.videollm.video_llm import VideoLLM
from graftwork.core import plugins
from graftwork.core.errors import GraftworkError
from graftwork.nn import fingerprint, grafts
from graftwork.video.clip import Clip
from graftwork.video.file_source import FileSource
from graftwork.video.reading.workers import ClipReader
from graftwork.video.record import Record
from graftwork.video.source import ClipSource

Pixels = Mapping[str, Tensor]


@final
class Seeing:
    """Clips as one model sees them.

    Args:
        llm: the model.
        reader: decodes files.
        store: where what was seen is kept; used unless a graft is on a tower, which then learns.
    """

    def __init__(self, llm: VideoLLM, reader: ClipReader, store: Store) -> None:
        self.llm, self.reader, self.store = llm, reader, store
        self._eyes: tuple[str, str] | None = None

    def look(self, records: Sequence[Record], *, tolerant: bool = False) -> Set[ClipSource]:
        """See every clip that is not kept yet, in worker processes where they are files.

        Returns:
            The clips that cannot be read, or that the model cannot be given; none unless
            `tolerant`.

        Raises:
            GraftworkError: there is such a clip, and that is not tolerated.
        """
        faults = _Faults(tolerant=tolerant)
        if self._learns():
            return faults.clips  # nothing that is seen now will be what is seen later
        missing: dict[str, list[tuple[Record, ClipSource]]] = {}
        for record, source in ((each, clip) for each in records for clip in each.clips):
            try:
                key = self.key(source)
            except GraftworkError as error:
                faults.add(error, [(record, source)])
                continue
            if key not in self.store:
                missing.setdefault(key, []).append((record, source))
        clips = _read(self.reader, [alike[0][1] for alike in missing.values()])
        for done, (key, clip) in enumerate(zip(missing, clips, strict=True), start=1):
            pixels = self._pixels(clip)
            if isinstance(pixels, GraftworkError):
                faults.add(pixels, missing[key])
            else:
                with naming(missing[key][0][0]):
                    self.store.put(key, self._see(pixels))
            if len(missing) > 1:
                plugins.manager().hook.work_done(what="clips", done=done, total=len(missing))
        return faults.clips

    def of(self, record: Record) -> list[Seen]:
        """The clips of a record in their order; with a gradient where a graft is on a tower.

        Raises:
            GraftworkError: a clip cannot be seen.
        """
        with naming(record):
            return [self._one(source) for source in record.clips]

    def encode(self, clip: Clip) -> Seen:
        """What the towers make of a clip.

        Raises:
            GraftworkError: the model cannot be given it.
        """
        return self._see(self.llm.pixels(clip))

    def key(self, source: ClipSource) -> str:
        """The name under which what is seen of a clip is kept.

        Raises:
            GraftworkError: the clip cannot be read.
        """
        if self._eyes is None:
            towers = [self.llm.module.get_submodule(name) for name in self.llm.towers]
            dtype = next(towers[0].parameters()).dtype
            self._eyes = "".join(map(fingerprint, towers)) + str(dtype), self.llm.looks()
        parts = (*self._eyes, source.key(self.reader.sampling))
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def changed(self) -> None:
        """To be told when the towers are in another precision."""
        self._eyes = None

    def _one(self, source: ClipSource) -> Seen:
        def make() -> Seen:
            return self.encode(source.read(self.reader.sampling))

        return make() if self._learns() else self.store.get(self.key(source), make)

    def _pixels(self, clip: Clip | GraftworkError) -> Pixels | GraftworkError:
        if isinstance(clip, GraftworkError):
            return clip
        try:
            return self.llm.pixels(clip)
        except GraftworkError as error:
            return error

    def _see(self, pixels: Pixels) -> Seen:
        parameter = next(self.llm.module.get_submodule(self.llm.towers[0]).parameters())
        pixels = {name: tensor.to(parameter.device) for name, tensor in pixels.items()}
        if self._learns():
            return self.llm.see(pixels)
        with torch.no_grad():
            return {name: tensor.cpu() for name, tensor in self.llm.see(pixels).items()}

    def _learns(self) -> bool:
        """Whether a graft is on a tower."""
        inside = tuple(f"{tower}." for tower in self.llm.towers)
        return any(
            f"{path}.".startswith(inside)
            for handle in grafts(self.llm.module).values()
            for path in handle.sites
        )


@contextmanager
def naming(record: Record) -> Iterator[None]:
    """Errors name the record."""
    try:
        yield
    except GraftworkError as error:
        raise GraftworkError(f"{record.name}: {error}") from error


class _Faults:
    """Clips that cannot be seen: counted, or the end."""

    def __init__(self, *, tolerant: bool) -> None:
        self.tolerant = tolerant
        self.clips: set[ClipSource] = set()

    def add(self, error: GraftworkError, clips: Iterable[tuple[Record, ClipSource]]) -> None:
        """One that the same clip of several records has."""
        for record, source in clips:
            if not self.tolerant:
                raise GraftworkError(f"{record.name}: {error}") from error
            self.clips.add(source)


def _read(reader: ClipReader, sources: Sequence[ClipSource]) -> Iterator[Clip | GraftworkError]:
    """Clips in their order, files decoded ahead; for one that cannot be read, the reason."""
    files = reader.read(each.path for each in sources if isinstance(each, FileSource))
    for source in sources:
        if isinstance(source, FileSource):
            clip = next(files)
            yield clip.reversed() if source.backwards and isinstance(clip, Clip) else clip
            continue
        try:
            yield source.read(reader.sampling)
        except GraftworkError as error:
            yield error
