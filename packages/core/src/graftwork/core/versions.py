"""What was installed when something was made."""

import platform
from importlib.metadata import PackageNotFoundError, version

from graftwork.core.discovery import blocked_names, installed, is_blocked

OWN = "graftwork-core"


def environment() -> dict[str, str]:
    """Versions of Python, graftwork-core and every plugin distribution in use, by name.

    Read from metadata: no plugin is imported. Plugins kept out by ``GRAFTWORK_BLOCK`` are absent.
    """
    names = blocked_names()
    found = {
        plugin.distribution: plugin.version
        for plugin in installed()
        if not is_blocked(plugin, names)
    }
    return {"python": platform.python_version()} | dict(sorted({OWN: _own(), **found}.items()))


def _own() -> str:
    try:
        return version(OWN)
    except PackageNotFoundError:  # a source folder on the path
        return "unknown"
