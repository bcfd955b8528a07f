"""Many clips, decoded ahead in processes that a broken file cannot take along."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

from graftwork.core.errors import GraftworkError
from graftwork.video.clip import Clip
from graftwork.video.reading.clip import read_clip
from graftwork.video.reading.crew import Crew, Job
from graftwork.video.reading.decoding import decode_to_file
from graftwork.video.reading.sampling import FrameSampling


@final
class ClipReader:
    """Reads clips one after another, decoding ahead in worker processes.

    A file that takes longer than `seconds`, or brings its worker down, costs itself only. At most
    `ahead` clips are being decoded or wait. A clip is in memory once: a worker decodes it into a
    file that this process maps and deletes, so the folder of temporary files (TMPDIR) needs room
    for those that wait.

    Workers are started anew (spawn), so what a script does must stand under
    `if __name__ == "__main__"`.
    """

    def __init__(self, sampling: FrameSampling, *, workers: int = 2, seconds: float = 30.0) -> None:
        """Nothing is started yet; 0 workers read in this process, without a limit of time.

        Raises:
            GraftworkError: fewer workers than none, or no time.
        """
        if workers < 0 or seconds <= 0:
            raise GraftworkError(
                f"reading clips: {workers} workers, {seconds:g} seconds; give 0 workers or more, "
                "and more than 0 seconds"
            )
        self.sampling, self.workers, self.seconds = sampling, workers, seconds
        self.ahead = 2 * workers

    def read(self, paths: Iterable[Path]) -> Iterator[Clip | GraftworkError]:
        """The clips in the order of their paths; for one that cannot be read, the reason.

        Paths are taken as they are needed, so there may be endlessly many. Workers and temporary
        files are gone once the iterator is exhausted, closed or dropped.

        Raises:
            GraftworkError: there is no room for temporary files, or workers do not start.
        """
        return self._apart(paths) if self.workers else self._here(paths)

    def _here(self, paths: Iterable[Path]) -> Iterator[Clip | GraftworkError]:
        for path in paths:
            try:
                clip: Clip | GraftworkError = read_clip(path, self.sampling)
            except GraftworkError as error:
                clip = error
            yield clip

    def _apart(self, paths: Iterable[Path]) -> Iterator[Clip | GraftworkError]:
        left = enumerate(paths)
        waiting: deque[Job] = deque()
        with (
            TemporaryDirectory(prefix="graftwork-clips-", ignore_cleanup_errors=True) as folder,
            Crew(
                self.sampling, workers=self.workers, seconds=self.seconds, decode=decode_to_file
            ) as crew,
        ):
            while True:
                for number, path in islice(left, self.ahead - len(waiting)):
                    waiting.append(Job(path, Path(folder, f"{number}.npy")))
                    crew.begin(waiting[-1])
                if not waiting:
                    return
                yield crew.end(waiting.popleft())
