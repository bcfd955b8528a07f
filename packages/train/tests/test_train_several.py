"""Runs of several adapters, `[[adapter]]`: read, trained, kept and taken up again together."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from graftwork.core.errors import GraftworkError
from graftwork.nn import load_graft
from graftwork.train import commands, places, runfile
from graftwork.train import fit as fits
from graftwork.train.adapter_tables import NAMED_KEYS, NamedAdapterKeys
from graftwork.train.checkpoint import all_checkpoints
from graftwork.train.command_export import export
from graftwork.train.command_merge import compose, merge
from graftwork.train.overrides import get_value, override
from graftwork.train.report import write_report
from graftwork.train.run import Run
from graftwork.train.runfile import RunFile
from graftwork.train.schema import schema
from graftwork.train.session import open_session
from graftwork.train.trainer import Trainer

TWO: list[dict[str, Any]] = [
    {"kind": "toy-lora", "rank": 1, "sites": ["middle"]},
    {"kind": "toy-lora", "rank": 2, "sites": ["middle", "leave"], "name": "wide", "lr": 0.005},
]


@pytest.fixture
def document(document: dict[str, Any]) -> dict[str, Any]:
    """The toy run with two adapters."""
    return document | {"adapter": [dict(one) for one in TWO]}


@pytest.fixture
def file(document: dict[str, Any]) -> RunFile:
    return runfile.check(document, name="run.toml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one finished run of these tests lies, once the first of them has made it."""
    return tmp_path_factory.mktemp("several") / "run"


@pytest.fixture
def run(made: Path, file: RunFile, tmp_path: Path) -> Run:
    """A copy of a finished run."""
    if not made.exists():
        fits.fit(file, made)
    return Run.open(shutil.copytree(made, tmp_path / "run"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": tensor
        for name in ("toy-lora", "wide")
        for key, tensor in load_file(folder / "adapter" / name / "adapter.safetensors").items()
    }


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


# -- The file ----------------------------------------------------------------------------------


def test_a_list_is_read_with_names_and_written_back(file: RunFile, tmp_path: Path) -> None:
    assert list(file.adapters) == ["toy-lora", "wide"]
    assert file.method == "toy-lora + toy-lora (wide)"
    first, second = file.table()["adapter"]
    assert first == {"kind": "toy-lora", "name": "toy-lora", "sites": ["middle"], "rank": 1}
    assert (second["name"], second["lr"]) == ("wide", 0.005)
    (tmp_path / "again.toml").write_text(file.text())
    assert runfile.read(tmp_path / "again.toml").table() == file.table()


def test_a_table_has_no_name_of_its_own(document: dict[str, Any]) -> None:
    document["adapter"] = {"kind": "toy-lora", "branch": "both"}
    file = runfile.check(document, name="run.toml")
    assert list(file.adapters) == ["default"]
    assert file.method == "toy-lora"
    assert file.table()["adapter"] == {"kind": "toy-lora", "branch": "both", "rank": 2}


def test_settings_are_addressed_by_name(document: dict[str, Any]) -> None:
    table = override(document, "adapter.wide.rank=3", place="x")
    table = override(table, "adapter.toy-lora.rank=4", place="x")
    assert get_value(table, "adapter.wide.rank") == 3
    assert get_value(table, "adapter.toy-lora.rank") == 4
    assert get_value(table, "adapter.rank") is None


WRONG: dict[str, tuple[Any, str]] = {
    "one name twice": (
        [{"kind": "toy-lora"}, {"kind": "toy-lora"}],
        "run.toml: adapter: 'toy-lora' is there twice; give each a `name` of its own",
    ),
    "name": (
        [{"kind": "toy-lora", "name": "a b"}],
        "run.toml: adapter.name: 'a b' cannot be one; use letters, digits, - and _",
    ),
    "name that is none": (
        [{"kind": "toy-lora", "name": 3}],
        "run.toml: adapter.3.name: expected a string",
    ),
    "branch": (
        [{"kind": "toy-lora", "branch": "postive"}],
        "run.toml: adapter.toy-lora.branch: expected 'both' | 'positive' | 'negative' | None, "
        "got 'postive'; did you mean 'positive'?",
    ),
    "branch of a table": ({"kind": "toy-lora", "branch": 3}, "run.toml: adapter.branch: expected"),
    "lr of zero": (
        [{"kind": "toy-lora", "lr": 0.0}],
        "run.toml: adapter.toy-lora.lr: expected",
    ),
    "lr not a number": (
        [{"kind": "toy-lora", "lr": float("nan")}],
        "run.toml: adapter.toy-lora.lr: expected a finite number",
    ),
    "name of a table": ({"kind": "toy-lora", "name": "a"}, "run.toml: adapter.name: unknown key"),
    "lr of a table": ({"kind": "toy-lora", "lr": -1}, "run.toml: adapter.lr: expected"),
    "setting": (
        [{"kind": "toy-lora", "name": "a", "rnak": 3}],
        "run.toml: adapter.a.rnak: unknown key; did you mean 'rank'?",
    ),
    "sites": ([{"kind": "toy-lora", "sites": 3}], "adapter.toy-lora.sites: expected a pattern"),
    "no kind": ([{"rank": 3}], "run.toml: adapter.kind: is missing; one of: toy-lora"),
    "unknown kind": ([{"kind": "toy-lara"}], "adapter.toy-lara.kind: adapters: unknown name"),
    "no entry": ([], "run.toml: adapter: expected a table; write [adapter]"),
    "no tables": (["toy-lora"], "run.toml: adapter: expected a list of tables; write [[adapter]]"),
}


@pytest.mark.parametrize(("adapter", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_list_is_named(document: dict[str, Any], adapter: Any, message: str) -> None:
    with pytest.raises(GraftworkError) as caught:
        runfile.check(document | {"adapter": adapter}, name="run.toml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "adapter.rank=3",
            r"a list of \[\[adapter\]\]; name one of them, as adapter.toy-lora.rank",
        ),
        ("adapter.tall.rank=3", r"there is no \[\[adapter\]\] named 'tall'; add one"),
        ("loss.weight=3", r"a list of \[\[loss\]\]; name one of them, as loss.toy-denoising.weig"),
    ],
)
def test_an_override_that_leads_nowhere(
    document: dict[str, Any], assignment: str, message: str
) -> None:
    with pytest.raises(GraftworkError, match=message):
        override(document, assignment, place="x")


def test_the_schema_takes_a_table_or_a_list() -> None:
    made = schema()
    alone, several = made["properties"]["adapter"]["anyOf"]
    assert alone["properties"] == {"name": False}
    assert alone["$ref"] == several["items"]["$ref"] == "#/$defs/adapter"
    (toy,) = made["$defs"]["adapter"]["oneOf"]
    assert {"kind", "rank", *NAMED_KEYS} == set(toy["properties"])
    assert toy["properties"]["sites"]["description"].startswith("Patterns of the sites")
    # In both places the same keys.
    assert set(NamedAdapterKeys.__dataclass_fields__) == set(NAMED_KEYS)


# -- Training ----------------------------------------------------------------------------------


def test_they_train_together_and_each_has_its_folder(run: Run) -> None:
    assert {path.name for path in run.adapter.iterdir()} == {"toy-lora", "wide"}
    assert run.trained() == run.adapter
    outcome = run.outcome()
    assert outcome is not None
    # middle is 8 x 8, leave 3 x 72: rank (rows + cols)
    assert outcome["adapters"] == {"toy-lora": 16, "wide": 2 * (16 + 75)}
    assert outcome["parameters"] == 16 + 182
    assert outcome["before"]["kps"] == 1.0
    tensors = weights(run.folder)
    assert all(tensor.any() for key, tensor in tensors.items() if key.endswith("up"))


def test_equal_methods_on_a_site_do_not_start_as_one(file: RunFile) -> None:
    one, other = open_session(replace(file, adapter=file.adapter)).adapters.grafts.values()
    assert not torch.equal(one.sites["middle"].down[0], other.sites["middle"].down[0])


def test_what_is_loaded_is_what_was_trained(run: Run) -> None:
    session = open_session(run.file, adapter=run.adapter)
    tensors = weights(run.folder)
    for name, handle in session.adapters.grafts.items():
        assert handle.name == name
        for key, value in handle.state_dict().items():
            assert torch.equal(value, tensors[f"{name}/{key}"])
    after = (run.outcome() or {})["after"]
    assert session.evaluate() == pytest.approx(after, abs=1e-6)
    with session.adapters.disabled():
        assert session.evaluate()["kps"] == 1.0


@pytest.mark.parametrize("order", [1, -1], ids=["as it was", "reordered"])
def test_an_interrupted_run_resumes_bit_for_bit(
    file: RunFile, run: Run, tmp_path: Path, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order in the file decides the order of sums, but not whose moments are whose."""
    ordinary = Trainer.step

    def dying(self: Trainer, step: int) -> dict[str, float]:
        if step == 5:
            raise KeyboardInterrupt
        return ordinary(self, step)

    monkeypatch.setattr(Trainer, "step", dying)
    with pytest.raises(KeyboardInterrupt):
        fits.fit(file, tmp_path / "cut")
    monkeypatch.undo()
    text = replace(file, adapter=file.adapter[::order]).text()
    (tmp_path / "cut" / "run.toml").write_text(text)
    fits.resume(tmp_path / "cut")
    one, other = weights(run.folder), weights(tmp_path / "cut")
    if order == 1:
        assert_same(one, other)
    for key, value in one.items():
        torch.testing.assert_close(other[key], value, atol=1e-6, rtol=1e-4)


def test_a_crash_after_the_adapters_were_written_is_mended(run: Run) -> None:
    before = weights(run.folder)
    (run.folder / "outcome.json").unlink()
    fits.resume(run.folder)
    assert_same(before, weights(run.folder))
    (run.folder / "outcome.json").unlink()
    (run.adapter / "mine.txt").write_text("mine")
    with pytest.raises(GraftworkError, match="exists already"):
        fits.resume(run.folder)


def test_each_has_its_learning_rate_under_one_schedule(file: RunFile) -> None:
    train = replace(file.train, warmup=4, schedule="linear")
    trainer = Trainer(open_session(replace(file, train=train)))
    for step, share in enumerate([0.25, 0.5, 0.75, 1.0, 1.0, 0.5]):
        logs = trainer.step(step)
        assert logs["lr"] == pytest.approx(0.02 * share)
        assert logs["lr/wide"] == pytest.approx(0.005 * share)
        rates = [group["lr"] for group in trainer.optimizer.param_groups]
        assert rates == pytest.approx([0.02 * share, 0.005 * share])


def test_no_common_rate_is_told_where_none_is_used(document: dict[str, Any]) -> None:
    document["adapter"][0]["lr"] = 0.1
    logs = Trainer(open_session(runfile.check(document, name="x"))).step(0)
    assert {name for name in logs if name.startswith("lr")} == {"lr/toy-lora", "lr/wide"}


def test_the_one_of_a_table_may_have_a_rate_too(document: dict[str, Any]) -> None:
    document["adapter"] = {"kind": "toy-lora", "lr": 0.5}
    trainer = Trainer(open_session(runfile.check(document, name="x")))
    logs = trainer.step(0)
    assert logs["lr"] == 0.5
    assert [group["lr"] for group in trainer.optimizer.param_groups] == [0.5]
    assert not any(name.startswith("lr/") for name in logs)


def test_one_that_does_not_move_is_named(
    file: RunFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary = Trainer.step

    def frozen(self: Trainer, step: int) -> dict[str, float]:
        before = {
            k: v.clone() for k, v in self.session.adapters.grafts["wide"].state_dict().items()
        }
        logs = ordinary(self, step)
        self.session.adapters.grafts["wide"].load_state_dict(before)
        return logs

    monkeypatch.setattr(Trainer, "step", frozen)
    with pytest.raises(GraftworkError, match="no parameter of the adapter 'wide' moved"):
        fits.fit(file, tmp_path / "run")


def test_a_checkpoint_of_other_names_is_refused(run: Run) -> None:
    (run.folder / "outcome.json").unlink()
    path = run.folder / "run.toml"
    path.write_text(path.read_text().replace('name = "wide"', 'name = "tall"'))
    with pytest.raises(GraftworkError, match=r"step-000006: of another adapter: wide/"):
        fits.resume(run.folder)


def test_a_branch_needs_a_backbone_that_runs_them_apart(
    document: dict[str, Any], tmp_path: Path
) -> None:
    document["adapter"][1]["branch"] = "positive"
    with pytest.raises(GraftworkError, match=r"run.toml: adapter.wide.branch: the backbone 'toy'"):
        fits.fit(runfile.check(document, name="run.toml"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_name_that_torch_has_taken(document: dict[str, Any], tmp_path: Path) -> None:
    document["adapter"][1]["name"] = "type"
    with pytest.raises(GraftworkError, match=r"run.toml: adapter.name: graft name 'type' cannot"):
        fits.fit(runfile.check(document, name="run.toml"), tmp_path / "run")


def test_a_list_of_one_is_kept_as_one(document: dict[str, Any], tmp_path: Path) -> None:
    document["adapter"] = document["adapter"][1:]
    document["train"]["steps"] = 1
    run = fits.fit(runfile.check(document, name="run.toml"), tmp_path / "run")
    assert (run.adapter / "adapter.json").is_file()
    assert not any(key.startswith("wide") for key in _checkpointed(run))
    assert "adapters" not in (run.outcome() or {})
    assert [place.adapter for place in places.locate_each(run.folder)] == [run.adapter]


def _checkpointed(run: Run) -> dict[str, torch.Tensor]:
    return load_file(all_checkpoints(run.checkpoints)[-1] / "adapter.safetensors")


# -- What comes after --------------------------------------------------------------------------


def test_all_of_them_are_sampled_and_judged(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    commands.evaluate(run.folder)
    after = (run.outcome() or {})["after"]
    assert f"{after['redness']:.4f}" in capsys.readouterr().out
    for weight in (1.0, 0.0):
        out = run.folder / f"at-{weight:g}"
        commands.sample(run.folder, weight=weight, out=out, overrides=("seeds=1",))
    drawn = [(run.folder / f"at-{weight}" / "00-00.png").read_bytes() for weight in (1, 0)]
    assert drawn[0] != drawn[1]


def test_a_lost_one_is_told(run: Run) -> None:
    shutil.rmtree(run.adapter / "wide")
    with pytest.raises(GraftworkError, match="this run has no trained adapter yet"):
        commands.evaluate(run.folder)


def test_a_run_of_several_is_several_places(run: Run) -> None:
    found = places.locate_all([run.folder, run.adapter / "wide"], [0.5, 2.0], command="merge")
    assert [place.adapter.name for place in found] == ["toy-lora", "wide", "wide"]
    assert [place.weight for place in found] == [0.5, 0.5, 2.0]
    assert all(place.run is not None and place.run.folder == run.folder for place in found[:2])
    handles = places.load(found, places.open_backbone(found))
    assert [handle.weight for handle in handles] == [0.5, 0.5, 2.0]


def test_one_of_them_knows_its_run(run: Run) -> None:
    place = places.locate(run.adapter / "wide")
    backbone = places.open_backbone([place])
    assert list(load_graft(backbone.module, place.adapter).sites) == ["middle", "leave"]


ONE: dict[str, Callable[[Path], object]] = {
    "export": lambda run: export(run, format="peft", out=run.parent / "out"),
    "locate": places.locate,
}


@pytest.mark.parametrize("call", ONE.values(), ids=ONE)
def test_where_one_is_wanted_one_has_to_be_named(
    run: Run, call: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graftwork.nn.exporting.check", lambda format, settings: None)
    with pytest.raises(GraftworkError) as caught:
        call(run.folder)
    assert str(caught.value) == (
        f"{run.folder}: this run has 2 adapters (toy-lora, wide); name one, as "
        f"{run.adapter / 'toy-lora'}"
    )


def test_several_are_merged_together(run: Run, tmp_path: Path) -> None:
    with pytest.raises(GraftworkError, match="cannot be saved as a model of its own"):
        merge((run.folder,), out=tmp_path / "model")
    with pytest.raises(GraftworkError, match="'concatenate' takes lora"):
        compose((run.folder,), out=tmp_path / "out")


def test_the_report_names_them_all(run: Run) -> None:
    page = write_report(run.folder).read_text()
    assert "toy-lora + toy-lora (wide) on toy" in page
    assert "198 trained parameters (16 in toy-lora, 182 in wide) on a frozen model" in page
    assert f"graftwork export {run.adapter}/wide --format diffusers --out run-wide" in page
    assert json.loads((run.folder / "outcome.json").read_text())["adapters"]["wide"] == 182
