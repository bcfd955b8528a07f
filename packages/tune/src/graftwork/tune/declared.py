"""The ranges that settings declare themselves: `Annotated[int, Search(4, 64)]`."""

from collections.abc import Mapping, Sequence

from graftwork.core import registry
from graftwork.core.config import Search, describe
from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean
from graftwork.train import runfile
from graftwork.train.adapter_tables import LR, AdapterKeys, is_list
from graftwork.train.runfile import PLAIN_TABLES, RunFile

WHOLE = "adapter"
TABLES = (WHOLE, "data")
"""What a search may go over as whole tables: a method or a dataset with the settings of its own."""


def declared(
    file: RunFile, name: str, place: str, *, methods: Sequence[str] | None = None
) -> Search | None:
    """Where a setting of a run file may be searched, if it says so itself.

    Args:
        file: the run file.
        name: the setting, such as "adapter.rank" or "adapter.words.vectors".
        place: where it is asked for; begins every complaint.
        methods: the methods of a single adapter, by default the file's.

    Raises:
        GraftworkError: there is no such setting.
    """
    section, _, setting = name.rpartition(".")
    if is_list(file.adapter) and section.startswith(f"{WHOLE}."):
        tables = [_of_named(file, section, place)]
    elif section == WHOLE:
        kinds = [file.adapter[0].kind] if methods is None else methods
        tables = [settings_of("adapters", kind) | _rate() for kind in kinds]
    elif section in PLAIN_TABLES:
        tables = [_ranges(PLAIN_TABLES[section])]
    else:
        return _of_listed(file, section, setting, place)
    known = {key: search for table in tables for key, search in table.items()}
    _require(setting, known, place)
    return next((table[setting] for table in tables if table.get(setting)), None)


def settings_of(kind: str, name: str) -> dict[str, Search | None]:
    """The settings of a plugin with their ranges."""
    return _ranges(registry.find(kind, name).settings_class())


def _of_named(file: RunFile, section: str, place: str) -> dict[str, Search | None]:
    """The settings of one of several adapters, and the learning rate of its own."""
    name = section.removeprefix(f"{WHOLE}.")
    if name not in file.adapters:
        raise GraftworkError(
            f"{place}: there is no [[adapter]] named '{name}'{did_you_mean(name, file.adapters)}"
        )
    return settings_of("adapters", file.adapters[name].kind) | _rate()


def _rate() -> dict[str, Search | None]:
    """The learning rate of an adapter's own."""
    return {LR: _ranges(AdapterKeys)[LR]}


def _of_listed(file: RunFile, section: str, setting: str, place: str) -> Search | None:
    """The range of a setting of a loss, a metric, the data or the backbone."""
    if section in ("backbone", "data"):
        chosen = getattr(file, section)
    else:
        list_name, _, kind = section.partition(".")
        named = [one for one in getattr(file, list_name, ()) if one.kind == kind]
        if list_name not in runfile.PLUGIN_LISTS or not named:
            raise GraftworkError(
                f"{place} is no setting; write 'adapter.rank', 'optimizer.lr' or 'loss.cat.weight'"
            )
        chosen = named[0]
        if setting == "weight" and list_name == "loss":
            return None
    known = _ranges(chosen.record.settings_class())
    _require(setting, known, place)
    return known[setting]


def _ranges(cls: type) -> dict[str, Search | None]:
    return {setting.name: setting.search for setting in describe(cls)}


def _require(setting: str, known: Mapping[str, Search | None], place: str) -> None:
    if setting not in known:
        raise GraftworkError(f"{place} is no setting{did_you_mean(setting, known)}")
