"""Run files: what is read is what was meant, and what is wrong is said in one line."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from graftwork.core.errors import GraftworkError
from graftwork.train import chosen, runfile
from graftwork.train.overrides import get_value, override, set_value
from graftwork.train.runfile import RunFile


def test_a_written_run_file_reads_back_the_same(file: RunFile, tmp_path: Path) -> None:
    (tmp_path / "again.toml").write_text(file.text())
    assert runfile.read(tmp_path / "again.toml").table() == file.table()


def test_defaults_are_filled_in(file: RunFile) -> None:
    table = file.table()
    assert table["optimizer"]["betas"] == [0.9, 0.999]
    assert table["loss"][1] == {"kind": "toy-preserve", "weight": 2.0}
    assert tomllib.loads(file.text()) == table


def test_the_backbone_brings_its_loss(document: dict[str, Any]) -> None:
    del document["loss"]
    assert [loss.kind for loss in runfile.check(document, name="x").loss] == ["toy-denoising"]


def test_overrides_win_over_the_file(path: Path) -> None:
    changed = runfile.read(path, ["train.steps=9", "adapter.rank=1", "loss.toy-preserve.weight=0"])
    assert changed.train.steps == 9
    assert changed.adapter[0].settings.rank == 1
    assert changed.loss[1].own["weight"] == 0


def test_a_relative_path_is_taken_from_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pictures").mkdir()
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(chosen, "parse", lambda cls, data, where: seen.append(dict(data)))
    table = {"kind": "toy-squares", "path": "pictures"}
    chosen.choose(table, "datasets", key="data", place="run.toml: data", base=tmp_path)
    assert seen == [{"path": str(tmp_path / "pictures")}]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("adapter.rnak", 3, "run.toml: adapter.rnak: unknown"),
        ("adapter.rank", "3", "run.toml: adapter.rank: "),
        ("adapter.rank", 0, "run.toml: adapter.rank: "),
        ("adapter.kind", "toy-lara", "did you mean 'toy-lora'?"),
        ("adapter.kind", 3, "run.toml: adapter.kind: is missing; one of: toy-lora"),
        ("adapter.sites", 3, "run.toml: adapter.sites: expected a pattern"),
        ("adapter.sites", [], "run.toml: adapter.sites: expected a pattern"),
        ("adapter", 3, "run.toml: adapter: expected a table; write [adapter]"),
        ("loss", {"kind": "x"}, "run.toml: loss: expected a list of tables; write [[loss]]"),
        ("loss.toy-preserve.weight", -1, "run.toml: loss.weight: expected a number of at least 0"),
        ("train.step", 3, "run.toml: train.step: unknown"),
        ("train.steps", 0, "run.toml: train.steps: "),
        ("optimizer.lr", float("nan"), "run.toml: optimizer.lr: "),
        ("seed", -1, "run.toml: seed: expected an integer of at least 0"),
        ("seed", True, "run.toml: seed: expected an integer of at least 0"),
        ("optimiser", {}, "run.toml: optimiser: unknown key; did you mean 'optimizer'?"),
    ],
)
def test_a_wrong_key_or_value_is_named(
    document: dict[str, Any], key: str, value: Any, message: str
) -> None:
    document = set_value(document, key, value, place="run.toml")
    with pytest.raises(GraftworkError) as caught:
        runfile.check(document, name="run.toml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_section_is_named() -> None:
    with pytest.raises(GraftworkError, match=r"run.toml: \[data\] is missing"):
        runfile.check({"backbone": {"kind": "toy"}}, name="run.toml")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"seed = = 1", "not valid TOML"), (b"\xff\xfe\x00", "not text")],
)
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(GraftworkError, match=message):
        runfile.read(tmp_path / "bad.toml")
    with pytest.raises(GraftworkError, match="cannot be read"):
        runfile.read(tmp_path / "none.toml")
    with pytest.raises(GraftworkError, match="is a folder"):
        runfile.read(tmp_path)


def test_override_values_are_toml_or_words() -> None:
    table = {"a": {"b": 1}, "loss": [{"kind": "cat"}]}
    assert override(table, "a.b=[1, 2]", place="x")["a"]["b"] == [1, 2]
    assert override(table, "a.c=word", place="x")["a"]["c"] == "word"
    assert override(table, "loss.cat.weight=2.5", place="x")["loss"][0]["weight"] == 2.5
    assert table == {"a": {"b": 1}, "loss": [{"kind": "cat"}]}, "the argument was changed"


@pytest.mark.parametrize("bad", ["a", "a..b=1", "=1", "loss.dog.weight=1", "a.b.c=1"])
def test_a_bad_override_is_refused(bad: str) -> None:
    with pytest.raises(GraftworkError):
        override({"a": {"b": 1}, "loss": [{"kind": "cat"}]}, bad, place="x")


def test_get_value_finds_what_set_value_set() -> None:
    table = set_value({"loss": [{"kind": "cat"}]}, "loss.cat.weight", 3, place="x")
    assert get_value(table, "loss.cat.weight") == 3
    assert get_value(table, "loss.dog.weight") is None
    assert get_value(table, "loss.cat.weight.more") is None
