"""To tune: run a search with Ray, and take an interrupted one up again."""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from graftwork.core import atomic, registry
from graftwork.core.errors import GraftworkError
from graftwork.core.versions import environment
from graftwork.train import runfile
from graftwork.train.run import refuse_taken
from graftwork.train.runfile import RunFile
from graftwork.train.settings import SearchSettings
from graftwork.tune.cluster import connect, own_signals
from graftwork.tune.leaderboard import Leaderboard, read_leaderboard
from graftwork.tune.progress import Reporter, SearchState, reason
from graftwork.tune.searchers import Proposals
from graftwork.tune.space import Range, search_space
from graftwork.tune.trial import Trial

_EXPERIMENT = "ray"


@dataclass(frozen=True)
class Found:
    """How a search ended."""

    leaderboard: Leaderboard
    interrupted: bool
    reasons: tuple[str, ...]
    """Why trials failed."""


def search(file: RunFile, folder: Path, *, address: str | None = None) -> Found:
    """Run a search from the start and leave a search folder.

    Args:
        file: a run file with `[search]`.
        folder: the folder to make; on a cluster, one that every node sees.
        address: of a Ray cluster ("auto" for the one this machine belongs to); by default the
            one in RAY_ADDRESS, else a Ray of our own on this machine.

    Raises:
        GraftworkError: a setting or range that does not exist, bad data, or a folder in use.
    """
    proposals, config = _prepare(file)
    refuse_taken(folder)
    connect(address, file)
    with atomic.folder(folder) as target:
        (target / "run.toml").write_text(file.text(), encoding="utf-8")
        (target / "environment.json").write_text(json.dumps(environment(), indent=2) + "\n")
    return _finish(_start(file, folder, proposals, config), file, folder, proposals.trials)


def resume(folder: Path, *, address: str | None = None) -> Found:
    """Take an interrupted search up again: finished trials stay, unfinished ones go on."""
    file = open_search(folder)
    proposals, config = _prepare(file)
    connect(address, file)
    experiment = str(folder.absolute() / _EXPERIMENT)
    if tune.Tuner.can_restore(experiment):
        tuner = tune.Tuner.restore(
            experiment, trainable=_trainable(file, folder), restart_errored=False
        )
    else:  # interrupted before it was first saved
        tuner = _start(file, folder, proposals, config)
    return _finish(tuner, file, folder, proposals.trials)


def open_search(folder: Path) -> RunFile:
    """The run file of a search folder.

    Raises:
        GraftworkError: it is missing or no search folder.
    """
    if not (folder / "run.toml").is_file():
        raise GraftworkError(f"{folder}: not a search folder (no run.toml); give one of `tune`")
    file = runfile.read(folder / "run.toml")
    if file.search is None:
        raise GraftworkError(f"{folder}: a single run, not a search; use `graftwork resume`")
    return file


def _prepare(file: RunFile) -> tuple[Proposals, tune.TuneConfig]:
    """Check everything that can be checked before workers start."""
    space = search_space(file)
    search = file.search
    assert search is not None
    data = file.data.build()
    data.check()
    scheduler = _find(file, "scheduler", search.scheduler)(file, space, _every(file))
    proposals = _proposals(file, space, search)
    config = tune.TuneConfig(
        metric=search.metric,
        mode=search.mode,
        scheduler=scheduler,
        search_alg=proposals.algorithm,
        num_samples=proposals.draws,
        max_concurrent_trials=search.concurrent,
        reuse_actors=True,
    )
    return proposals, config


def _start(
    file: RunFile, folder: Path, proposals: Proposals, config: tune.TuneConfig
) -> tune.Tuner:
    return tune.Tuner(
        _trainable(file, folder),
        param_space=proposals.param_space,
        tune_config=config,
        run_config=_run_config(file, folder, proposals.trials, _kept(config.scheduler)),
    )


def _proposals(file: RunFile, space: Mapping[str, Range], search: SearchSettings) -> Proposals:
    searcher = _find(file, "searcher", search.searcher)
    try:
        made: Proposals = searcher(space, search, file.seed)
    except GraftworkError as error:
        raise GraftworkError(f"{file.name}: {error}") from error
    return made


def _find(file: RunFile, kind: str, name: str) -> Any:
    try:
        return registry.find(f"{kind}s", name).load()
    except GraftworkError as error:
        raise GraftworkError(f"{file.name}: search.{kind}: {error}") from error


def _every(file: RunFile) -> int:
    return file.train.evaluate_every or file.train.steps


def _trainable(file: RunFile, folder: Path) -> Any:
    assert file.search is not None
    task = {
        "name": file.name,
        "document": _with_threads(file),
        "folder": str(folder.absolute()),
        "versions": environment(),
    }
    resources = {"cpu": file.search.cpus, "gpu": file.search.gpus}
    return tune.with_resources(tune.with_parameters(Trial, task=json.dumps(task)), resources)


def _with_threads(file: RunFile) -> dict[str, Any]:
    """The document with the threads that a trial's share of CPUs allows, unless it says."""
    assert file.search is not None
    table = file.table()
    table["train"].setdefault("threads", max(1, int(file.search.cpus)))
    return table


def _kept(scheduler: Any) -> int | None:
    """Checkpoints that Ray keeps of each trial; all where other trials may go on from them."""
    return None if isinstance(scheduler, tune.schedulers.PopulationBasedTraining) else 1


def _run_config(file: RunFile, folder: Path, total: int, kept: int | None) -> tune.RunConfig:
    search = file.search
    assert search is not None
    state = SearchState(search.metric, search.mode, total, file.train.steps, seconds=0.0)
    return tune.RunConfig(
        name=_EXPERIMENT,
        storage_path=str(folder.absolute()),
        checkpoint_config=tune.CheckpointConfig(num_to_keep=kept, checkpoint_frequency=1),
        callbacks=[Reporter(folder.absolute(), state)],
        verbose=0,
    )


def _finish(tuner: tune.Tuner, file: RunFile, folder: Path, trials: int) -> Found:
    started = time.monotonic()
    before = _seconds_before(folder)
    with own_signals():
        results = tuner.fit()
    board = read_leaderboard(folder, file, seconds=before + time.monotonic() - started)
    board.write(folder)
    # Not by Ray's word: it calls the trials that an interruption stops terminated.
    whole = sum(row.status in ("finished", "stopped") for row in board.trials)
    interrupted = whole + results.num_errors < trials
    if not interrupted:
        shutil.rmtree(folder / "cache", ignore_errors=True)
        if board.best is not None:
            with atomic.folder(folder / "best", replace=True) as target:
                shutil.copytree(folder / "trials" / board.best, target, dirs_exist_ok=True)
    reasons = tuple(reason(str(error)) for error in results.errors)
    return Found(board, interrupted, reasons)


def _seconds_before(folder: Path) -> float:
    try:
        return float(json.loads((folder / "leaderboard.json").read_text())["seconds"])
    except (OSError, ValueError, KeyError):
        return 0.0
