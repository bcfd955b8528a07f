"""Settings as data: declaration, description and schema."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import pytest

from graftwork.core.config import Ge, Le, Search, as_dict, config, describe, schema


@config
class Base:
    seed: int = 0
    """Where the randomness
    begins."""


@config
class Inner:
    lr: Annotated[float, Search(1e-4, 1e-2, log=True)] = 1e-3
    """Step size."""


@config
class Settings(Base):
    """All there is to set."""

    kind: Literal["lora", "dora"]
    """Which one."""

    rank: Annotated[int, Ge(1), Le(64), Search(4, 64)] = 8
    """Rank of the change."""

    undocumented: float | None = None
    "Single quotes document too."

    branches: Annotated[int, Search(choices=(1, 2))] | None = None
    sites: tuple[str, ...] = ("*",)
    inner: Inner = Inner(lr=0.5)
    """Nested."""


def setting(name: str) -> Any:
    return next(each for each in describe(Settings) if each.name == name)


def test_a_class_that_is_made_is_documented_by_its_fields() -> None:
    space = {
        "__annotations__": {"rank": int},
        "rank": dataclasses.field(default=4, metadata={"help": "Rank of the change."}),
    }
    made = config(type("Made", (), space))
    assert [(each.name, each.doc) for each in describe(made)] == [("rank", "Rank of the change.")]
    assert schema(made)["properties"]["rank"]["description"] == "Rank of the change."


def test_settings_are_frozen_and_keyword_only() -> None:
    made = Settings(kind="lora")
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.rank = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        Settings("lora")  # type: ignore[misc]


def test_describe_keeps_the_order_and_flattens_nested_settings() -> None:
    names = [each.name for each in describe(Settings)]
    assert names == ["seed", "kind", "rank", "undocumented", "branches", "sites", "inner.lr"]


def test_docs_come_from_the_source_inherited_ones_too() -> None:
    assert setting("seed").doc == "Where the randomness begins."
    assert setting("rank").doc == "Rank of the change."
    assert setting("undocumented").doc == "Single quotes document too."
    assert setting("branches").doc == ""
    assert setting("inner.lr").doc == "Step size."


def test_types_are_told_with_their_bounds() -> None:
    assert setting("rank").type_text == "int >= 1, <= 64"
    assert setting("kind").type_text == "'lora' | 'dora'"
    assert setting("undocumented").type_text == "float | None"
    assert setting("sites").type_text == "tuple[str, ...]"


def test_defaults_and_required() -> None:
    assert (setting("kind").required, setting("kind").default) == (True, None)
    assert (setting("rank").required, setting("rank").default) == (False, 8)
    assert (setting("undocumented").required, setting("undocumented").default) == (False, None)


def test_a_nested_default_comes_from_the_outer_class() -> None:
    assert setting("inner.lr").default == 0.5


def test_search_ranges_are_found_inside_optionals_too() -> None:
    assert setting("rank").search == Search(4, 64)
    assert setting("branches").search == Search(choices=(1, 2))
    assert setting("inner.lr").search == Search(1e-4, 1e-2, log=True)
    assert setting("seed").search is None


def test_classes_without_readable_source_have_no_docs() -> None:
    space: dict[str, Any] = {}
    exec("from graftwork.core import config\n@config\nclass C:\n    x: int = 1\n    'doc'", space)
    assert [each.doc for each in describe(space["C"])] == [""]


def test_as_dict_drops_none_and_is_plain() -> None:
    @config
    class Plain:
        path: Path = Path("a/b")
        nothing: int | None = None
        pairs: tuple[tuple[int, int], ...] = ((1, 2),)
        inner: Inner = Inner()
        table: Any = dataclasses.field(default_factory=lambda: {"a": (1,), "b": None})

    assert as_dict(Plain()) == {
        "path": "a/b",
        "pairs": [[1, 2]],
        "inner": {"lr": 1e-3},
        "table": {"a": [1]},
    }


def test_the_schema_is_valid_and_agrees_with_parse() -> None:
    made = schema(Settings)
    validator = jsonschema.Draft202012Validator
    validator.check_schema(made)
    check = validator(made)
    assert check.is_valid({"kind": "lora", "rank": 64, "inner": {"lr": 1}})
    for wrong in ({}, {"kind": "x"}, {"kind": "lora", "rank": 65}, {"kind": "lora", "rnak": 1}):
        assert not check.is_valid(wrong), wrong


def test_the_schema_carries_docs_defaults_and_search_ranges() -> None:
    made = schema(Settings)
    assert made["description"] == "All there is to set."
    assert made["required"] == ["kind"]
    rank = made["properties"]["rank"]
    assert rank["description"] == "Rank of the change."
    assert rank["default"] == 8
    assert rank["x-search"] == {"low": 4, "high": 64, "log": False}
    assert made["properties"]["branches"]["x-search"] == {"choices": [1, 2]}
    assert made["properties"]["seed"]["description"] == "Where the randomness begins."
    inner = made["$defs"]["Inner"]["properties"]["lr"]
    assert inner["description"] == "Step size."
    assert inner["x-search"] == {"low": 1e-4, "high": 1e-2, "log": True}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs low and high"),
        ({"low": 1}, "needs low and high"),
        ({"low": 2, "high": 2}, "needs low < high"),
        ({"low": 0, "high": 2, "log": True}, "needs low > 0"),
        ({"low": 1, "high": 2, "choices": (1,)}, "not both"),
        ({"log": True, "choices": (1,)}, "not both"),
    ],
)
def test_a_senseless_search_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Search(**given)


def test_a_search_prints_as_a_range_or_its_choices() -> None:
    assert str(Search(4, 64, log=True)) == "4 .. 64 (log)"
    assert str(Search(0.5, 2)) == "0.5 .. 2"
    assert str(Search(choices=("a", 2))) == "a | 2"
