"""Which plugins are installed, read from package metadata; nothing of theirs is imported."""

import os
import re
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points

GROUP = "graftwork"
BLOCK_VARIABLE = "GRAFTWORK_BLOCK"
UNKNOWN = "unknown distribution"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A plugin by its entry point's name, and the distribution that brought it."""

    name: str
    distribution: str
    version: str = ""
    entry_point: EntryPoint | None = field(default=None, repr=False, compare=False)

    @property
    def provider(self) -> str:
        """``graftwork-adapters 0.1.0``."""
        return f"{self.distribution} {self.version}".strip()


def installed() -> tuple[Plugin, ...]:
    """Every plugin with an entry point in the group ``graftwork``, blocked ones included."""
    found = [_plugin(entry) for entry in entry_points(group=GROUP)]
    return tuple(sorted(found, key=lambda plugin: (plugin.distribution, plugin.name)))


def blocked_names() -> frozenset[str]:
    """The plugins or distributions that ``GRAFTWORK_BLOCK`` (a comma list) keeps out."""
    words = os.environ.get(BLOCK_VARIABLE, "").split(",")
    return frozenset(normalised(word.strip()) for word in words if word.strip())


def is_blocked(plugin: Plugin, names: frozenset[str], /) -> bool:
    """Whether ``names`` holds the plugin's own name or its distribution's."""
    return bool({normalised(plugin.name), normalised(plugin.distribution)} & names)


def normalised(name: str) -> str:
    """A name as package indexes compare it: ``My_Plugin`` is ``my-plugin``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _plugin(entry: EntryPoint) -> Plugin:
    distribution, version = _origin(entry)
    return Plugin(name=entry.name, distribution=distribution, version=version, entry_point=entry)


def _origin(entry: EntryPoint) -> tuple[str, str]:
    """Name and version of the entry point's distribution."""
    # Damaged metadata gives None or raises, by version of Python; it must not hide the healthy.
    try:
        assert entry.dist is not None
        return entry.dist.name or UNKNOWN, entry.dist.version or ""
    except Exception:
        return UNKNOWN, ""
