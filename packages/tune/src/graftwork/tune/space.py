"""The search space of a run file: which settings vary, and over what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graftwork.core import registry
from graftwork.core.config import describe
from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean
from graftwork.core.records import Record
from graftwork.train import runfile
from graftwork.train.adapter_tables import KEYS, LR, is_list
from graftwork.train.overrides import get_value, set_value
from graftwork.train.runfile import RunFile
from graftwork.tune.declared import TABLES, WHOLE, declared, settings_of

METHOD = "adapter.kind"
_RATE = f"optimizer.{LR}"
_INTERVAL = {"low", "high", "log"}


@dataclass(frozen=True)
class Choices:
    """One of several values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Interval:
    """A number between two others, both included, evenly or by order of magnitude."""

    low: float
    high: float
    log: bool = False

    @property
    def integer(self) -> bool:
        """Whether only whole numbers are meant: both ends are."""
        return isinstance(self.low, int) and isinstance(self.high, int)


Range = Choices | Interval


def search_space(file: RunFile) -> dict[str, Range]:
    """The range of every setting in `search.over`: the file's own, else the setting's.

    Raises:
        GraftworkError: no `[search]`, a setting that does not exist or has no range, a range
            that holds a value the setting does not take.
    """
    if file.search is None:
        raise GraftworkError(f"{file.name}: [search] is missing; add one with `over` and `metric`")
    given = dict(file.space or {})
    for name in given:
        if name not in file.search.over:
            near = did_you_mean(name, file.search.over)
            raise GraftworkError(f"{file.name}: search.space: '{name}' is not in search.over{near}")
    for table in TABLES:
        _refuse_whole_and_part(file, table)
    _refuse_idle_rate(file)
    if is_list(file.adapter):
        _refuse_method(file)
    space: dict[str, Range] = {}
    for name in _in_order(file):
        place = f"{file.name}: search.over: '{name}'"
        space[name] = (
            _given(given[name], place) if name in given else _own(file, name, space, place)
        )
        if name == METHOD:
            _check_methods(space[name], f"{file.name}: search.space: {METHOD}")
        if name in TABLES:
            _check_tables(space[name], f"{file.name}: search.space: {name}", name)
    _check_values(file, space)
    return {name: space[name] for name in file.search.over}


def _in_order(file: RunFile) -> Sequence[str]:
    """The settings to search, the method first: what else there is depends on it."""
    assert file.search is not None
    over = file.search.over
    if not over:
        raise GraftworkError(f"{file.name}: search.over: is empty; name a setting to search")
    for name in over:
        if over.count(name) > 1:
            raise GraftworkError(f"{file.name}: search.over: '{name}' is there twice; keep one")
    return sorted(over, key=lambda name: name != METHOD)


def _refuse_whole_and_part(file: RunFile, table: str) -> None:
    assert file.search is not None
    parts = [name for name in file.search.over if name.startswith(f"{table}.")]
    if table in file.search.over and parts:
        raise GraftworkError(
            f"{file.name}: search.over: '{table}' stands for all of its settings; take out "
            f"'{parts[0]}' and write it into the tables of [search.space]"
        )


def _refuse_idle_rate(file: RunFile) -> None:
    """Refuse a learning rate that no adapter would have, since all have one of their own."""
    assert file.search is not None
    tables = [one.own for one in file.adapter]
    if WHOLE in file.search.over:
        tables = list((file.space or {}).get(WHOLE, ()))
    if _RATE in file.search.over and tables and all(table.get(LR) for table in tables):
        raise GraftworkError(
            f"{file.name}: search.over: '{_RATE}' changes nothing, for every adapter has an `lr` "
            "of its own; take one of the two out"
        )


def _refuse_method(file: RunFile) -> None:
    """Refuse what a list of adapters does not have: one method, or settings without a name."""
    assert file.search is not None
    for name in file.search.over:
        table, _, rest = name.partition(".")
        if table == WHOLE and "." not in rest:
            setting = rest if rest not in ("", "kind") else "rank"
            example = f"{WHOLE}.{next(iter(file.adapters))}.{setting}"
            raise GraftworkError(
                f"{file.name}: search.over: '{name}' is for a single [adapter], and here is a "
                f"list; name a setting of one of them, as '{example}'"
            )


def label(table: Mapping[str, Any], choices: Sequence[Mapping[str, Any]]) -> str:
    """How tables and pictures name a choice: "lora, rank 4", by what it says of itself.

    What all choices say alike is left out.
    """
    fits = (one for one in choices if all(table.get(key) == value for key, value in one.items()))
    found = next(fits, {"kind": table["kind"]})
    alike = {key for key in found if all(one.get(key) == found[key] for one in choices)}
    told = {key: value for key, value in found.items() if key not in {"kind", "sites", *alike}}
    return ", ".join([str(table["kind"]), *(f"{key} {_short(told[key])}" for key in told)])


def _short(value: Any) -> str:
    """A value for tables; of a path its last part."""
    return value.rpartition("/")[2] if isinstance(value, str) else str(value)


def _check_methods(range_: Range, place: str) -> None:
    if isinstance(range_, Interval):
        raise GraftworkError(f"{place}: expected a list of methods; write their names")
    for kind in range_.values:
        try:
            registry.find("adapters", str(kind))
        except GraftworkError as error:
            raise GraftworkError(f"{place}: {error}") from error


def _check_tables(range_: Range, place: str, name: str) -> None:
    tables = range_.values if isinstance(range_, Choices) else ()
    if not tables or not all(isinstance(table, Mapping) and "kind" in table for table in tables):
        raise GraftworkError(
            f"{place}: expected tables with a kind, as [[search.space.{name}]] with kind = ..."
        )


def trial_table(file: RunFile, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The document of one trial: the file with `settings`, without the search.

    Settings of `[adapter]` reach the kinds that have them; another kind's are left out.
    """
    table = file.without_search().table()
    if WHOLE in settings:
        own = {key: value for key, value in table[WHOLE].items() if key in KEYS}
        table = set_value(table, WHOLE, {**own, **settings[WHOLE]}, place=file.name)
    if METHOD in settings:
        table = set_value(table, METHOD, settings[METHOD], place=file.name)
    for name, value in settings.items():
        if name != WHOLE:  # the data's table is replaced as it is
            table = set_value(table, name, value, place=file.name)
    if WHOLE in settings or is_list(file.adapter):
        return table
    known = {"kind", *KEYS, *settings_of("adapters", table[WHOLE]["kind"])}
    table[WHOLE] = {key: value for key, value in table[WHOLE].items() if key in known}
    return table


def _given(value: Any, place: str) -> Range:
    if isinstance(value, list) and value:
        return Choices(tuple(value))
    if isinstance(value, Mapping) and {"low", "high"} <= value.keys() <= _INTERVAL:
        interval = Interval(value["low"], value["high"], bool(value.get("log", False)))
        numbers = all(isinstance(v, int | float) for v in (interval.low, interval.high))
        if numbers and interval.low < interval.high and (interval.low > 0 or not interval.log):
            return interval
    raise GraftworkError(
        f"{place}: expected a list of values, or {{ low = 1, high = 64, log = true }} with "
        "low < high"
    )


def _own(file: RunFile, name: str, space: Mapping[str, Range], place: str) -> Range:
    if name == METHOD:
        return Choices(tuple(_interchangeable(file)))
    if name in TABLES:
        raise GraftworkError(f"{place}: list the choices, as [[search.space.{name}]] tables")
    kinds = space.get(METHOD)
    methods = [str(kind) for kind in kinds.values] if isinstance(kinds, Choices) else None
    found = declared(file, name, place, methods=methods)
    if found is None:
        raise GraftworkError(f"{place} has no range of its own; give one in [search.space]")
    if found.choices:
        return Choices(tuple(found.choices))
    assert found.low is not None
    assert found.high is not None
    return Interval(found.low, found.high, found.log)


def _interchangeable(file: RunFile) -> Iterator[str]:
    """Methods for the file's sites that need no setting of their own to be given.

    Learned words and heads sit on other sites than the rest. Methods that a bridge brings,
    "peft/vera", are dozens; a file names those it wants.
    """
    own = _place(file.adapter[0].record)
    for record in registry.records("adapters"):
        alike = _place(record) == own
        if alike and "/" not in record.name and not _needs_settings(record):
            yield record.name


def _place(record: Record) -> str:
    """Where adapters of its family sit."""
    family: str = record.family  # type: ignore[attr-defined]
    return family if family in {"token", "head"} else "layers"


def _needs_settings(record: Record) -> bool:
    return any(setting.required for setting in describe(record.settings_class()))


def _check_values(file: RunFile, space: Mapping[str, Range]) -> None:
    """Refuse a range whose ends or choices the setting would refuse, before any trial starts."""
    for name, range_ in space.items():
        for value in _ends(range_):
            table = trial_table(file, {**_firsts(space, but=name), name: value})
            if name == METHOD or get_value(table, name) is not None:
                runfile.check(table, name=f"{file.name}: search.space")


def _ends(range_: Range) -> Sequence[Any]:
    return range_.values if isinstance(range_, Choices) else (range_.low, range_.high)


def _firsts(space: Mapping[str, Range], *, but: str) -> dict[str, Any]:
    return {name: _ends(range_)[0] for name, range_ in space.items() if name != but}
