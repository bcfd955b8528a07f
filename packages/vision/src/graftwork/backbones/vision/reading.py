"""Reading images ahead of the model, in batches."""

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch
from jaxtyping import UInt8
from torch import Tensor

from graftwork.core.errors import GraftworkError, GraftworkWarning
from graftwork.labels.images import Images

Read = Callable[[int], Tensor]


def batches(
    images: Images, read: Read, *, size: int, workers: int
) -> Iterator[tuple[Sequence[int], UInt8[Tensor, "batch 3 height width"]]]:
    """The places of images that can be read, and the images, `size` at a time.

    Args:
        images: all of them.
        read: an image by its place, ready for the model.
        size: images in a batch.
        workers: threads that read ahead of the caller.

    Raises:
        GraftworkError: one cannot be read and the images are not tolerant, or none can.
    """
    unreadable: list[GraftworkError] = []
    places, ready = [], []
    found = 0
    for place, one in enumerate(_ahead(range(len(images)), read, workers, 2 * size)):
        if isinstance(one, GraftworkError):
            if not images.tolerant:
                raise one
            unreadable.append(one)
            continue
        places.append(place)
        ready.append(one)
        found += 1
        if len(ready) == size:
            yield places, torch.stack(ready)
            places, ready = [], []
    if ready:
        yield places, torch.stack(ready)
    _tell(unreadable, found)


def _ahead(
    places: Sequence[int], read: Read, workers: int, ahead: int
) -> Iterator[Tensor | GraftworkError]:
    def attempt(place: int) -> Tensor | GraftworkError:
        try:
            return read(place)
        except GraftworkError as error:
            return error

    if workers == 0:
        yield from map(attempt, places)
        return
    left = iter(places)
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque(pool.submit(attempt, place) for place in islice(left, ahead))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(attempt, place) for place in islice(left, 1))


def _tell(unreadable: Sequence[GraftworkError], found: int) -> None:
    if not found:
        first = unreadable[0] if unreadable else "there is none"
        raise GraftworkError(f"data: no image can be read ({first}); look at one of the files")
    if unreadable:
        warnings.warn(
            f"data: passed over {len(unreadable)} of {found + len(unreadable)} images that cannot "
            f"be read ({unreadable[0]})",
            GraftworkWarning,
            stacklevel=3,
        )
