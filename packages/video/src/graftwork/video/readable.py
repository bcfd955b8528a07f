"""Records whose clips can be read."""

from collections.abc import Sequence

from graftwork.core.errors import GraftworkError
from graftwork.video.chat import VideoChat
from graftwork.video.file_source import FileSource
from graftwork.video.instructions import VideoInstructions
from graftwork.video.record import Record


def readable(
    backbone: VideoChat, data: VideoInstructions, records: Sequence[Record]
) -> Sequence[Record]:
    """Let a backbone look at all records; those that it can see, the others being counted.

    Raises:
        GraftworkError: a clip cannot be read and the data is not tolerant, or nothing is left.
    """
    unreadable = backbone.look(records, tolerant=data.tolerant)
    kept = [record for record in records if unreadable.isdisjoint(record.clips)]
    if not kept:
        raise GraftworkError("data: no clip can be read; look at one of the files")
    data.pass_over(source.path for source in unreadable if isinstance(source, FileSource))
    return kept
