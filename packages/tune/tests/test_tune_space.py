"""Search spaces: ranges come from the file or from the settings, and are checked at once."""

from pathlib import Path
from typing import Any

import pytest

from graftwork.core import hookimpl
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import PluginManager
from graftwork.core.records import AdapterSpec
from graftwork.train import runfile
from graftwork.train.overrides import get_value, set_value
from graftwork.tune.space import Choices, Interval, label, search_space, trial_table


def space(document: dict[str, Any]) -> dict[str, Any]:
    return search_space(runfile.check(document, name="run.toml"))


def test_ranges_come_from_the_file_or_from_the_setting(document: dict[str, Any]) -> None:
    assert space(document) == {
        "adapter.rank": Interval(1, 4),
        "optimizer.lr": Interval(1e-5, 1e-2, log=True),
        "loss.toy-preserve.weight": Choices((0.0, 1.0)),
    }


def test_the_files_range_wins(document: dict[str, Any]) -> None:
    document["search"]["space"]["adapter.rank"] = {"low": 1, "high": 2}
    assert space(document)["adapter.rank"] == Interval(1, 2)
    assert space(document)["adapter.rank"].integer
    assert not space(document)["optimizer.lr"].integer


def test_all_adapters_are_the_range_of_the_kind(document: dict[str, Any]) -> None:
    document["search"]["over"].append("adapter.kind")
    assert space(document)["adapter.kind"] == Choices(("toy-lora",))


def test_a_trial_is_the_file_with_its_settings(document: dict[str, Any]) -> None:
    file = runfile.check(document, name="run.toml")
    table = trial_table(file, {"adapter.rank": 3, "loss.toy-preserve.weight": 0.0})
    assert get_value(table, "adapter.rank") == 3
    assert get_value(table, "loss.toy-preserve.weight") == 0.0
    assert "search" not in table
    assert runfile.check(table, name="trial").adapter[0].settings.rank == 3


def test_settings_reach_the_kinds_that_have_them(
    document: dict[str, Any], manager: PluginManager
) -> None:
    class Plain:
        @hookimpl
        def adapters(self) -> list[AdapterSpec]:
            return [
                AdapterSpec(
                    name="toy-plain",
                    target="graftwork.testing.toy:ToyAdapter",
                    summary="has no settings",
                    family="weight",
                )
            ]

    manager.register(Plain(), "plain")
    document["search"]["over"].append("adapter.kind")
    file = runfile.check(document, name="run.toml")
    assert search_space(file)["adapter.kind"] == Choices(("toy-lora", "toy-plain"))
    table = trial_table(file, {"adapter.kind": "toy-plain", "adapter.rank": 3})
    assert table["adapter"] == {"kind": "toy-plain"}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("search.over", ["adapter.rnak"], r"'adapter.rnak' is no setting; did you mean 'rank'"),
        ("search.over", ["loss.dog.weight"], "'loss.dog.weight' is no setting"),
        ("search.over", ["rank"], "'rank' is no setting"),
        ("search.over", ["train.steps"], "'train.steps' has no range"),
        ("search.space", {"optimizer.lr": [1.0]}, "'loss.toy-preserve.weight' has no range"),
        ("search.space", {"adapter.alpha": [1]}, "'adapter.alpha' is not in search.over"),
        ("search.space", {"loss.toy-preserve.weight": {"low": 2, "high": 1}}, "low < high"),
        ("search.space", {"loss.toy-preserve.weight": []}, "expected a list of values"),
        ("search.space", {"loss.toy-preserve.weight": [-1.0]}, "loss.weight: expected a number"),
    ],
)
def test_a_wrong_space_is_named(
    document: dict[str, Any], key: str, value: Any, message: str
) -> None:
    if key == "search.over":
        del document["search"]["space"]
    with pytest.raises(GraftworkError, match=message):
        space(set_value(document, key, value, place="run.toml"))


def test_both_ends_of_a_range_must_be_valid(document: dict[str, Any]) -> None:
    document["search"]["space"]["adapter.rank"] = {"low": 0, "high": 4}
    with pytest.raises(GraftworkError, match=r"search.space: adapter.rank"):
        space(document)


def test_a_file_without_a_search_is_refused(document: dict[str, Any]) -> None:
    del document["search"]
    with pytest.raises(GraftworkError, match=r"\[search\] is missing"):
        space(document)


def whole(document: dict[str, Any], **tables: list[dict[str, Any]]) -> dict[str, Any]:
    return document | {"search": document["search"] | {"over": [*tables], "space": tables}}


def test_whole_tables_of_adapter_and_data_are_searched(document: dict[str, Any]) -> None:
    adapters = [{"kind": "toy-lora", "rank": 1, "lr": 0.5}, {"kind": "toy-lora", "rank": 3}]
    document["adapter"]["sites"] = ["*"]
    file = runfile.check(
        whole(document, adapter=adapters, data=[{"kind": "toy-squares"}]), name="run.toml"
    )
    assert search_space(file)["adapter"] == Choices(tuple(adapters))
    table = trial_table(file, {"adapter": adapters[0], "data": {"kind": "toy-squares"}})
    trial = runfile.check(table, name="trial")
    assert trial.adapter[0].own == {"sites": ["*"], "lr": 0.5}
    assert trial.adapter[0].settings.rank == 1
    assert trial.data.kind == "toy-squares"


def test_labels_say_what_tells_the_choices_apart() -> None:
    choices = [
        {"kind": "lora", "rank": 4, "lr": 1e-3},
        {"kind": "oft", "block_size": 8, "lr": 1e-3},
        {"kind": "oft", "block_size": 16, "lr": 1e-3},
    ]
    found = [label({**choice, "alpha": 1.0}, choices) for choice in choices]
    assert found == ["lora, rank 4", "oft, block_size 8", "oft, block_size 16"]
    data = [{"kind": "subject", "path": f"/somewhere/{name}"} for name in ("cat", "cup")]
    assert label(data[1], data) == "subject, path cup"


def test_a_rate_that_no_adapter_would_have_is_refused(document: dict[str, Any]) -> None:
    document["adapter"]["lr"] = 1e-3
    with pytest.raises(GraftworkError, match=r"'optimizer\.lr' changes nothing"):
        space(document)


def test_a_table_and_a_setting_of_it_are_not_searched_together(document: dict[str, Any]) -> None:
    document["search"]["over"] = ["data", "data.count"]
    document["search"]["space"] = {"data": [{"kind": "toy-squares"}], "data.count": [1]}
    with pytest.raises(GraftworkError, match="'data' stands for all of its settings"):
        space(document)


def test_paths_of_the_space_are_the_files(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "cup").mkdir()
    table = whole(document, data=[{"kind": "toy-squares", "path": "cup"}])
    table["search"]["space"]["data.path"] = ["cup", "elsewhere"]
    file = runfile.check(table, name="run.toml", base=tmp_path)
    assert file.space is not None
    assert file.space["data"][0]["path"] == str(tmp_path / "cup")
    assert file.space["data.path"] == [str(tmp_path / "cup"), "elsewhere"]
