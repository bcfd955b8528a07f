"""The commands of single runs: fit, evaluate, sample."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from graftwork.core.errors import GraftworkError


def fit(run_file: Path, /, *, out: Path | None = None, overrides: tuple[str, ...] = ()) -> None:
    """Train an adapter as a run file says.

    Any setting of the file can be changed here, as `--train.steps 100`.

    Args:
        run_file: the run file (TOML).
        out: the run folder to make; runs/<name of the file> by default.
        overrides: settings that replace the file's.
    """
    from graftwork.train import runfile
    from graftwork.train.fit import fit as run_fit

    file = runfile.read(run_file, overrides).without_search()
    folder = out or Path("runs") / run_file.stem
    with told_how_to_go_on(folder):
        run_fit(file, folder)
    conclude(folder)


def resume(run_folder: Path) -> None:
    """Go on with an interrupted run to its end; the command line's `resume` calls this."""
    from graftwork.train.fit import resume as resume_fit

    with told_how_to_go_on(run_folder):
        resume_fit(run_folder)
    conclude(run_folder)


def evaluate(run_folder: Path, /) -> None:
    """Judge what a run has trained again, by the metrics of its run file.

    Args:
        run_folder: a run folder that `fit` wrote.
    """
    from graftwork.train.run import Run
    from graftwork.train.session import open_session

    run = Run.open(run_folder)
    session = open_session(run.file, adapter=run.trained())
    after = session.evaluate()
    with session.adapters.disabled():
        before = session.evaluate()
    print(table(before, after))


def sample(
    run_folder: Path,
    inputs: tuple[Path, ...] = (),
    /,
    *,
    weight: float = 1.0,
    out: Path | None = None,
    overrides: tuple[str, ...] = (),
) -> None:
    """Put what a run has trained to use.

    What can be set depends on the task of the run's backbone, as `--prompt` to draw pictures;
    `graftwork show tasks/text-to-image` tells, and so for the other tasks.

    Args:
        run_folder: a run folder that `fit` wrote.
        inputs: files to work on, where the task takes any.
        weight: strength of the adapter; 0 uses the backbone alone. Beside other adapters,
            learned words stay whole at any other.
        out: a new folder for what is made; samples-1, -2, ... in the run folder by default.
        overrides: settings of the task.
    """
    from graftwork.nn.task import Task
    from graftwork.train.run import Run, refuse_taken
    from graftwork.train.sampling import read_flags
    from graftwork.train.session import open_session

    if not math.isfinite(weight):
        raise GraftworkError(f"--weight: expected an ordinary number such as 0.8, got {weight:g}")
    run = Run.open(run_folder)
    settings = read_flags(run.file.task, overrides)
    adapter = run.trained()
    folder = out or _free(run.folder / "samples")
    task: Task = run.file.task.load()()
    if not task.resumes:
        refuse_taken(folder, resumable=False)
    session = open_session(run.file, adapter=adapter)
    session.adapters.train(False)
    session.adapters.weigh(weight)
    identity = f"{run.folder.resolve()} {weight:g}"
    print(task.sample(session.evaluation, inputs, settings, folder, identity=identity))


@contextmanager
def told_how_to_go_on(folder: Path) -> Iterator[None]:
    """Let Ctrl-C through with a word on what to do next."""
    try:
        yield
    except KeyboardInterrupt:
        if (folder / "run.toml").is_file():
            print(f"interrupted; `graftwork resume {folder}` goes on")
        raise


def conclude(folder: Path) -> None:
    """Write the report of a finished run and print what came out."""
    from graftwork.train.report import write_report

    report = write_report(folder)
    print(f"{summary(folder)}\nadapter: {folder / 'adapter'}\nreport:  {report}")


def summary(folder: Path) -> str:
    """What a finished run came to, for the terminal."""
    from graftwork.train.run import Run

    outcome = Run.open(folder).outcome() or {}
    head = (
        f"{folder}: {outcome['step']} steps, {outcome['parameters']:,} parameters, "
        f"{outcome['seconds']:.0f} s"
    )
    return f"{head}\n{table(outcome['before'], outcome['after'])}"


def table(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """Metrics before and after, aligned."""
    width = max([len(name) for name in after], default=0)
    lines = [f"{'':{width}}   before    after"]
    lines += [f"{name:{width}} {before[name]:8.4f} {after[name]:8.4f}" for name in after]
    return "\n".join(lines) if after else "no metric in the run file"


def _free(stem: Path) -> Path:
    numbers = (stem.with_name(f"{stem.name}-{number}") for number in range(1, 1_000_000))
    return next(path for path in numbers if not path.exists())
