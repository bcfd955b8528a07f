"""Worker processes that decode clips into files."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import torch
from pebble import ProcessExpired, ProcessFuture, ProcessPool

from graftwork.core.errors import GraftworkError
from graftwork.video.clip import Clip
from graftwork.video.reading.sampling import FrameSampling

Decode = Callable[[Path, FrameSampling, Path], tuple[float, ...]]
"""Decodes a clip into a file and gives the times of its frames."""

_TASKS = 1000
"""Clips after which a worker is renewed, since decoders leak."""


@dataclass(frozen=True)
class Job:
    """A clip to decode, and the .npy file it goes to on the way."""

    path: Path
    target: Path


@final
class Crew:
    """Workers, between entering and leaving the block."""

    def __init__(
        self,
        sampling: FrameSampling,
        *,
        workers: int,
        seconds: float,
        decode: Decode,
    ) -> None:
        self._sampling, self._workers, self._seconds = sampling, workers, seconds
        self._decode = decode
        self._begun: dict[Job, ProcessFuture[tuple[float, ...]]] = {}
        self._collapses = 0

    def __enter__(self) -> Self:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPool(
            max_workers=self._workers,
            max_tasks=_TASKS,
            # At once in all workers; with the first task it would be one after another.
            initializer=import_module,
            initargs=(self._decode.__module__,),
            context=spawn,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.stop()
        self._pool.join()

    def begin(self, job: Job) -> None:
        """Have a clip decoded once a worker is free."""
        if not self._pool.active:
            self._renew()
        self._begun[job] = self._pool.schedule(
            self._decode, args=(job.path, self._sampling, job.target), timeout=self._seconds
        )

    def end(self, job: Job) -> Clip | GraftworkError:
        """Wait for a clip that was begun; its file is deleted.

        Raises:
            GraftworkError: there is no room for the file, or workers do not start.
        """
        while True:
            try:
                result = self._result(job)
            except BrokenProcessPool as error:
                self._renew(error)
            else:
                self._collapses = 0
                del self._begun[job]
                return result

    def _result(self, job: Job) -> Clip | GraftworkError:
        try:
            times = self._begun[job].result()
            return Clip(str(job.path), torch.from_numpy(_mapped(job.target)), times)
        except (GraftworkError, TimeoutError, ProcessExpired) as error:
            return self._refusal(job, error)
        except OSError as error:
            raise GraftworkError(
                f"{job.target.parent}: no room for a decoded clip ({error.strerror}); free some "
                "space or set TMPDIR to a larger disk"
            ) from error
        finally:
            # Where an open file cannot be deleted, its folder is, in the end.
            with suppress(OSError):
                job.target.unlink(missing_ok=True)

    def _refusal(self, job: Job, error: Exception) -> GraftworkError:
        if isinstance(error, GraftworkError):
            return error
        if isinstance(error, ProcessExpired):
            what = f"the worker that decoded it died (exit status {error.exitcode})"
        else:
            what = f"not decoded after {self._seconds:g} seconds"
        return GraftworkError(f"{job.path}: {what}; re-encode it or leave it out")

    def _renew(self, error: Exception | None = None) -> None:
        """Start other workers for everything that is begun.

        It takes a worker that dies before it could say what it works on.
        """
        self._collapses += 1
        if self._collapses > 2:
            raise GraftworkError(
                "reading clips: worker processes end as soon as they begin; put what your script "
                "does under if __name__ == '__main__', or use 0 workers"
            ) from error
        self.__exit__()
        self.__enter__()
        for job in self._begun:
            self.begin(job)


def _mapped(path: Path) -> "np.ndarray[Any, Any]":
    # Private pages: what is written to a clip stays here, what is only read is no copy.
    return np.load(path, mmap_mode="c")
