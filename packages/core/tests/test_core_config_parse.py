"""What ``parse`` takes, and the exact line for what it refuses."""

import datetime
import enum
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from graftwork.core import GraftworkError
from graftwork.core.config import Ge, Gt, Le, Lt, NoSettings, Search, as_dict, config, parse


class Mode(enum.Enum):
    MAX = "max"
    MIN = "min"


@config
class Inner:
    lr: float = 1e-3


@config
class Settings:
    rank: Annotated[int, Ge(1), Search(4, 64, log=True)] = 8
    alpha: float | None = None
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    omega: Annotated[float, Gt(0), Le(1000)] = 200.0
    residual: Literal["lora", "tensor-ring"] = "lora"
    betas: tuple[float, float] = (0.9, 0.999)
    sites: tuple[str, ...] = ()
    path: Path = Path("images")
    cache: bool = True
    size: int | str = "large"
    branches: Annotated[int, Ge(1)] | None = None
    mode: Mode = Mode.MAX
    optimizer: Inner = Inner()
    stages: tuple[Inner, ...] = ()
    limits: dict[str, int] | None = None

    def __post_init__(self) -> None:
        if self.branches is not None and self.branches > self.rank:
            raise ValueError(f"branches {self.branches} exceeds rank; lower it to {self.rank}")


@config
class Needy:
    kind: str
    rank: int


GOOD = {
    "rank": 4,
    "alpha": 2,
    "dropout": 0.5,
    "residual": "tensor-ring",
    "betas": [0.5, 1],
    "sites": ["a", "b"],
    "path": "x/y",
    "cache": False,
    "size": 3,
    "branches": 2,
    "mode": "min",
    "optimizer": {"lr": 1},
    "stages": [{"lr": 0.5}, {}],
    "limits": {"a": 1},
}


def test_every_type_is_taken() -> None:
    made = parse(Settings, GOOD, "run.toml")
    assert made == Settings(
        rank=4,
        alpha=2.0,
        dropout=0.5,
        residual="tensor-ring",
        betas=(0.5, 1.0),
        sites=("a", "b"),
        path=Path("x/y"),
        cache=False,
        size=3,
        branches=2,
        mode=Mode.MIN,
        optimizer=Inner(lr=1.0),
        stages=(Inner(lr=0.5), Inner()),
        limits={"a": 1},
    )
    assert isinstance(made.alpha, float)


def test_nothing_given_means_the_defaults() -> None:
    assert parse(Settings, {}, "run.toml") == Settings()


def test_tuples_and_paths_may_stand_for_lists_and_strings() -> None:
    made = parse(Settings, {"betas": (0.1, 0.2), "path": Path("p")}, "here")
    assert (made.betas, made.path) == ((0.1, 0.2), Path("p"))


def test_as_dict_is_read_back() -> None:
    made = parse(Settings, GOOD, "run.toml")
    assert parse(Settings, as_dict(made), "again") == made
    assert parse(Settings, as_dict(Settings()), "again") == Settings()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"rnak": 4}, "rnak: unknown key; did you mean 'rank'?"),
    ({"optimizer": {"learning": 1}}, "optimizer.learning: unknown key; known: lr"),
    ({"stages": [{}, {"rl": 1}]}, "stages[1].rl: unknown key; known: lr"),
    ({"rank": "8"}, "rank: expected an integer, got '8'; write 8 without quotes"),
    ({"rank": "big"}, "rank: expected an integer, got 'big'; write a whole number such as 8"),
    ({"rank": 8.5}, "rank: expected an integer, got 8.5; write a whole number such as 8"),
    ({"rank": 8.0}, "rank: expected an integer, got 8.0; write a whole number such as 8"),
    ({"rank": True}, "rank: expected an integer, got True; write a whole number such as 8"),
    ({"rank": None}, "rank: expected an integer, got None; write a whole number such as 8"),
    ({"rank": 0}, "rank: expected at least 1, got 0; write 1 or more"),
    ({"dropout": 1}, "dropout: expected less than 1, got 1; write a number below 1"),
    ({"omega": 0}, "omega: expected more than 0, got 0; write a number above 0"),
    ({"omega": 1001}, "omega: expected at most 1000, got 1001; write 1000 or less"),
    ({"alpha": "1.5"}, "alpha: expected a number, got '1.5'; write 1.5 without quotes"),
    ({"alpha": [1]}, "alpha: expected a number, got [1]; write a number such as 0.5"),
    ({"alpha": math.nan}, "alpha: expected a finite number, got nan; write an ordinary number"),
    ({"alpha": -math.inf}, "alpha: expected a finite number, got -inf; write an ordinary number"),
    (
        {"betas": [0, math.inf]},
        "betas[1]: expected a finite number, got inf; write an ordinary number",
    ),
    ({"betas": [0.1]}, "betas: too few values; write as many as tuple[float, float] has"),
    ({"betas": [1, 2, 3]}, "betas: expected at most 2 values, got [1, 2, 3]; remove the others"),
    ({"betas": 0.1}, "betas: expected a list, got 0.1; write the values in brackets: [...]"),
    ({"betas": [1, "x"]}, "betas[1]: expected a number, got 'x'; write a number such as 0.5"),
    ({"sites": "a"}, "sites: expected a list, got 'a'; write the values in brackets: [...]"),
    ({"sites": [1]}, 'sites[0]: expected a string, got 1; write "1" in quotes'),
    ({"path": 3}, 'path: expected a string, got 3; write "3" in quotes'),
    ({"path": ["a"]}, "path: expected a string, got ['a']; write text in quotes"),
    (
        {"cache": "true"},
        "cache: expected true or false, got 'true'; write true or false without quotes",
    ),
    ({"cache": 1}, "cache: expected true or false, got 1; write true or false without quotes"),
    ({"size": 1.5}, "size: expected int | str, got 1.5; write one of those"),
    ({"branches": 0}, "branches: expected at least 1, got 0; write 1 or more"),
    (
        {"residual": "lroa"},
        "residual: expected 'lora' | 'tensor-ring', got 'lroa'; did you mean 'lora'?",
    ),
    ({"residual": 3}, "residual: expected 'lora' | 'tensor-ring', got 3; known: lora, tensor-ring"),
    ({"mode": "most"}, "mode: expected 'max' or 'min', got 'most'; write one of those"),
    ({"optimizer": 3}, "optimizer: expected a table, got 3; write its settings as a table"),
    (
        {"optimizer": {"lr": "x"}},
        "optimizer.lr: expected a number, got 'x'; write a number such as 0.5",
    ),
    (
        {"limits": {"a": "b"}},
        "limits.a: expected an integer, got 'b'; write a whole number such as 8",
    ),
    (
        {"rank": 0, "cache": 1, "sites": 1},
        "rank: expected at least 1, got 0 (and 2 more problems); write 1 or more",
    ),
    ({"rank": 0, "rnak": 1}, "rnak: unknown key (and 1 more problem); did you mean 'rank'?"),
]


@pytest.mark.parametrize(("data", "line"), BAD, ids=[line.split(";")[0] for _, line in BAD])
def test_the_line_for_a_mistake(data: dict[str, Any], line: str) -> None:
    with pytest.raises(GraftworkError) as caught:
        parse(Settings, data, "run.toml: adapter")
    assert str(caught.value) == f"run.toml: adapter.{line}"


def test_a_file_alone_is_followed_by_a_colon() -> None:
    with pytest.raises(GraftworkError, match=r"^run\.toml: rnak: unknown key"):
        parse(Settings, {"rnak": 1}, "run.toml")


def test_a_missing_key_is_shown_with_its_type() -> None:
    with pytest.raises(GraftworkError) as caught:
        parse(Needy, {"kind": "x"}, "run.toml: data")
    assert str(caught.value) == "run.toml: data.rank: missing; add it: rank = ... (int)"


def test_a_misspelt_key_is_named_before_the_one_that_is_missing_for_it() -> None:
    with pytest.raises(GraftworkError, match=r"data\.rnak: unknown key .* did you mean 'rank'\?"):
        parse(Needy, {"kind": "x", "rnak": 1}, "run.toml: data")


def test_a_check_across_fields_is_told_with_its_place() -> None:
    with pytest.raises(GraftworkError) as caught:
        parse(Settings, {"branches": 9}, "run.toml: adapter")
    assert str(caught.value) == "run.toml: adapter: branches 9 exceeds rank; lower it to 8"


@pytest.mark.parametrize(
    "value", [datetime.date(2026, 1, 2), datetime.time(1, 2), datetime.datetime(2026, 1, 2)]
)
def test_dates_of_toml_are_refused(value: object) -> None:
    with pytest.raises(GraftworkError, match=r"run\.toml: stages\[0\]\.lr: a \w+ is not allowed"):
        parse(Settings, {"stages": [{"lr": value}]}, "run.toml")


def test_a_table_is_needed() -> None:
    with pytest.raises(GraftworkError, match=r"^run\.toml: adapter: expected a table, got 3"):
        parse(Settings, 3, "run.toml: adapter")  # type: ignore[arg-type]


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(GraftworkError) as caught:
        parse(Settings, {"rank": "x" * 500}, "run.toml")
    assert len(str(caught.value)) < 150


def test_every_line_is_one_line_without_a_chained_traceback() -> None:
    with pytest.raises(GraftworkError) as caught:
        parse(Settings, {"rank": "two\nlines"}, "run.toml")
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_settings_of_a_plugin_without_any_refuse_every_key() -> None:
    assert parse(NoSettings, {}, "run.toml: metric") == NoSettings()
    with pytest.raises(GraftworkError, match=r"metric\.rank: unknown key; remove it"):
        parse(NoSettings, {"rank": 1}, "run.toml: metric")
