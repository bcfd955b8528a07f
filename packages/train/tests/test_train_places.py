"""Where the commands between adapters and files look, as functions in the toy world."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from graftwork.core.errors import GraftworkError
from graftwork.nn import load_graft
from graftwork.train import commands, places
from graftwork.train.command_export import export, import_
from graftwork.train.command_merge import compose, merge, resize


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one run of these tests lies, once the first of them has made it."""
    return tmp_path_factory.mktemp("made") / "run"


@pytest.fixture
def run(made: Path, path: Path, tmp_path: Path) -> Path:
    """A finished run of one step, to do with as one likes."""
    if not made.exists():
        words = ("train.steps=1", "evaluate.seeds=1", "train.threads=1")
        commands.fit(path, out=made, overrides=words)
    return Path(shutil.copytree(made, tmp_path / "run"))


def test_a_run_its_adapter_and_a_copy_of_it_are_places(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "adapter", tmp_path / "copy")
    assert places.locate(run).adapter == run / "adapter"
    for path in (run, run / "adapter"):
        found = places.locate(path)
        assert found.run is not None
        assert places.open_backbone([found]).settings == found.run.file.backbone.settings
    assert places.locate(tmp_path / "copy").run is None


def test_a_copy_needs_to_be_told_its_backbone(run: Path, path: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "adapter", tmp_path / "copy")
    place = places.locate(tmp_path / "copy")
    with pytest.raises(GraftworkError, match=r"add --run RUN .* or --backbone\.kind NAME"):
        places.open_backbone([place])
    told: list[dict[str, object]] = [
        {"run": run},
        {"run": path},
        {"overrides": ["backbone.kind=toy"]},
    ]
    for how in told:
        backbone = places.open_backbone([place], **how)  # type: ignore[arg-type]
        assert load_graft(backbone.module, place.adapter).sites


def test_a_file_beside_a_run_file_is_in_no_run(path: Path, tmp_path: Path, run: Path) -> None:
    shutil.copytree(run / "adapter", path.parent / "mine")
    assert places.locate(path.parent / "mine").run is None


def test_weights_are_one_for_each(run: Path) -> None:
    for weights, says in (((1.0, 2.0), "2 for 1 adapters"), ((float("inf"),), "ordinary numbers")):
        with pytest.raises(GraftworkError, match=says):
            places.locate_all([run], weights, command="merge")
    with pytest.raises(GraftworkError, match="ADAPTERS is missing"):
        places.locate_all([], (), command="merge")


def test_settings_are_told_by_their_table() -> None:
    words = ["format.rank=8", "backbone.kind=toy", "format.convert=svd"]
    assert places.settings_of("format", words) == {"rank": 8, "convert": "svd"}
    assert places.settings_of("format", []) == {}
    places.refuse_others(words, known=("format", "backbone"), command="export")
    for word in ("seed=3", "adapter.rank=3"):
        with pytest.raises(GraftworkError, match=f"unknown flag --{word[:4]}"):
            places.refuse_others([word], known=("format", "backbone"), command="export")


def test_merging_a_backbone_that_has_no_form_of_its_own(run: Path, tmp_path: Path) -> None:
    with pytest.raises(GraftworkError, match="cannot be saved as a model of its own"):
        merge((run,), out=tmp_path / "model")
    assert not (tmp_path / "model").exists()


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "unknown format": (
        lambda run: export(run, format="onnx", out=run.parent / "x"),
        "formats: unknown name 'onnx'",
    ),
    "already ours": (lambda run: import_(run, out=run.parent / "x"), "is a graftwork adapter"),
    "neither rank nor energy": (
        lambda run: resize(run, out=run.parent / "x"),
        "--rank or --energy",
    ),
    "energy": (lambda run: resize(run, out=run.parent / "x", energy=2.0), "--energy: expected"),
    "rank": (lambda run: compose((run,), out=run.parent / "x", rank=0), "--rank: expected"),
    "taken": (lambda run: resize(run, out=run, rank=1), "exists already"),
    "taken by import": (lambda run: import_(run / "run.toml", out=run), "neither a run nor"),
}


@pytest.mark.parametrize(("call", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused(
    call: Callable[[Path], object], says: str, run: Path
) -> None:
    with pytest.raises(GraftworkError, match=says):
        call(run)
    assert not (run.parent / "x").exists()


def test_a_search_points_to_its_best_run(run: Path) -> None:
    with (run / "run.toml").open("a") as file:
        file.write('\n[search]\nover = ["adapter.rank"]\nmetric = "redness"\n')
    for command in (commands.evaluate, commands.sample):
        with pytest.raises(
            GraftworkError, match=f"a search of many runs; give the best, {run}/best"
        ):
            command(run)
    with pytest.raises(GraftworkError, match="give the best"):
        resize(run, out=run.parent / "x", rank=1)
