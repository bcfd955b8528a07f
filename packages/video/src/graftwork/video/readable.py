"""Records whose clips can be read."""

from collections.abc import Mapping, Sized
from typing import TypeVar

from graftwork.core.errors import GraftworkError
from graftwork.video.chat import VideoChat
from graftwork.video.file_source import FileSource
from graftwork.video.instructions import VideoInstructions
from graftwork.video.record import Record

Key = TypeVar("Key")


def readable(
    backbone: VideoChat, data: VideoInstructions, records: Mapping[Key, Record]
) -> list[Key]:
    """Let a backbone look at records of a data set; those that it can see, the others counted.

    Raises:
        GraftworkError: a clip cannot be read, and the data does not tolerate that.
    """
    unreadable = backbone.look(list(records.values()), tolerant=data.tolerant)
    data.pass_over(source.path for source in unreadable if isinstance(source, FileSource))
    return [key for key, each in records.items() if unreadable.isdisjoint(each.clips)]


def refuse_none(kept: Sized) -> None:
    """Raise `GraftworkError` where no record is left."""
    if not len(kept):
        raise GraftworkError("data: no clip can be read; look at one of the files")
