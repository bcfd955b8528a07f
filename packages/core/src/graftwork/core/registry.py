"""Look-up of records by kind and name."""

import functools
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from graftwork.core import plugins
from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean
from graftwork.core.plugins import PluginManager
from graftwork.core.records import KINDS, Record


class Registry:
    """The records of one plugin manager, resolved once per kind."""

    def __init__(self, manager: PluginManager) -> None:
        self.manager = manager
        self._known: dict[str, dict[str, list[Record]]] = {}
        self._revision = -1

    def find(self, kind: str, name: str) -> Record:
        """The record of that name.

        Raises GraftworkError for an unknown name, with the nearest one, and for a name that two
        plugins use, naming both distributions.
        """
        by_name = self._by_name(kind)
        if name not in by_name:
            raise GraftworkError(
                f"{kind}: unknown name {name!r}{did_you_mean(name, by_name)}{self._absent()}"
            )
        return _only(by_name[name])

    def records(self, kind: str) -> tuple[Record, ...]:
        """All records of a kind, sorted by name; GraftworkError if two share a name."""
        by_name = self._by_name(kind)
        return tuple(_only(by_name[name]) for name in sorted(by_name))

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of a kind, sorted."""
        return tuple(record.name for record in self.records(kind))

    def clashes(self) -> tuple[str, ...]:
        """One sentence for every name that two plugins use, over all kinds."""
        groups = (group for kind in KINDS for group in self._by_name(kind).values())
        return tuple(_clash(group) for group in groups if len(group) > 1)

    def _by_name(self, kind: str) -> dict[str, list[Record]]:
        if kind not in KINDS:
            raise GraftworkError(f"unknown kind {kind!r}{did_you_mean(kind, KINDS)}")
        if kind not in self._known or self._revision != self.manager.revision:
            collected = self._collect(kind)
            if self._revision != self.manager.revision:  # a plugin came, or broke just now
                self._known.clear()
                self._revision = self.manager.revision
            self._known[kind] = collected
        return self._known[kind]

    def _collect(self, kind: str) -> dict[str, list[Record]]:
        by_name: defaultdict[str, list[Record]] = defaultdict(list)
        for records in getattr(self.manager.hook, kind)():
            for record in records:
                by_name[record.name].append(record)
        return dict(by_name)

    def _absent(self) -> str:
        broken = sorted({plugin.distribution for plugin in self.manager.broken})
        blocked = sorted({plugin.distribution for plugin in self.manager.blocked})
        return (f" (broken: {', '.join(broken)}; see: graftwork doctor)" if broken else "") + (
            f" (kept out by GRAFTWORK_BLOCK: {', '.join(blocked)})" if blocked else ""
        )


def current() -> Registry:
    """The registry over the manager of this process."""
    return _over(plugins.manager())


@functools.lru_cache(maxsize=4)
def _over(manager: PluginManager) -> Registry:
    return Registry(manager)


def find(kind: str, name: str) -> Record:
    """The record of that name in this process; see `Registry.find`."""
    return current().find(kind, name)


def records(kind: str) -> tuple[Record, ...]:
    """All records of a kind in this process, sorted by name; see `Registry.records`."""
    return current().records(kind)


def names(kind: str) -> tuple[str, ...]:
    """The names of a kind in this process, sorted."""
    return current().names(kind)


@contextmanager
def use(manager: PluginManager) -> Iterator[Registry]:
    """Look up in ``manager`` inside the block, for tests."""
    with plugins.use(manager):
        yield current()


def _only(group: list[Record]) -> Record:
    if len(group) > 1:
        raise GraftworkError(_clash(group))
    return group[0]


def _clash(group: list[Record]) -> str:
    record = group[0]
    providers = " and ".join(one.provider or one.target for one in group)
    return (
        f"{record.kind}: {record.name!r} is offered by both {providers}; "
        "uninstall one of them or name it in GRAFTWORK_BLOCK"
    )
