"""The commands of single runs, as functions."""

from pathlib import Path

import pytest
from PIL import Image

from graftwork.core import registry
from graftwork.core.errors import GraftworkError
from graftwork.train import commands
from graftwork.train.sampling import read_flags


def test_fit_evaluate_and_sample(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.fit(path, out=tmp_path / "run", overrides=("train.steps=2",))
    fitted = capsys.readouterr().out
    assert f"{tmp_path / 'run'}: 2 steps" in fitted
    commands.evaluate(tmp_path / "run")
    evaluated = capsys.readouterr().out
    assert evaluated.strip() in fitted, "a saved adapter scores as it did in training"
    commands.sample(
        tmp_path / "run", overrides=("prompt=a zed square", "prompt=a square", "seeds=3")
    )
    drawn = tmp_path / "run" / "samples-1"
    assert len(list(drawn.glob("0*.png"))) == 6
    assert Image.open(drawn / "01-02.png").size == (8, 8)


def test_weight_zero_samples_the_backbone(path: Path, tmp_path: Path) -> None:
    commands.fit(path, out=tmp_path / "run")
    for name, weight in (("on", 1.0), ("off", 0.0)):
        commands.sample(
            tmp_path / "run", weight=weight, out=tmp_path / name, overrides=("seeds=1",)
        )
    on, off = ((tmp_path / name / "00-00.png").read_bytes() for name in ("on", "off"))
    assert on != off


def test_an_unfinished_run_has_nothing_to_sample(path: Path, tmp_path: Path) -> None:
    commands.fit(path, out=tmp_path / "run")
    (tmp_path / "run" / "adapter" / "adapter.json").unlink()
    with pytest.raises(GraftworkError, match="no trained adapter yet"):
        commands.sample(tmp_path / "run")


def test_flags_are_settings_of_the_task() -> None:
    settings = read_flags(registry.find("tasks", "text-to-image"), ("prompt=7", "prompt=true"))
    assert settings.prompt == ("7", "true"), "a prompt is text, whatever it looks like"
    with pytest.raises(GraftworkError, match="unknown flag --promt; did you mean 'prompt'"):
        read_flags(registry.find("tasks", "text-to-image"), ("promt=a",))
