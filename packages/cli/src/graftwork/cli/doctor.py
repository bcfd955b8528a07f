"""``graftwork doctor``: what is installed, blocked, broken or in conflict."""

import os
from collections.abc import Iterator, Sequence

from graftwork.cli.accelerators import findings
from graftwork.cli.columns import aligned
from graftwork.core.discovery import BLOCK_VARIABLE, blocked_names, is_blocked
from graftwork.core.plugins import PluginManager, manager
from graftwork.core.registry import current
from graftwork.core.versions import environment


def doctor() -> int:
    """What is installed, blocked, broken or in conflict; exit status 1 if something is wrong."""
    plugins = manager()
    clashes = current().clashes()
    broken = [(plugin.name, plugin.distribution, plugin.reason) for plugin in plugins.broken]
    _section("versions", list(environment().items()))
    _section("libraries", list(findings()))
    _section("plugins", [(plugin.name, plugin.provider) for plugin in plugins.plugins])
    _section("blocked", list(_blocked(plugins)))
    _section("broken", broken)
    _section("clashes", [(clash,) for clash in clashes])
    wrong = len(broken) + len(clashes)
    print(f"{wrong} problem{'s' if wrong > 1 else ''} found" if wrong else "all is well")
    return 1 if wrong else 0


def _section(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    if rows:
        print(f"{title}\n{aligned(rows, indent=2)}\n")


def _blocked(plugins: PluginManager) -> Iterator[tuple[str, str]]:
    for plugin in plugins.blocked:
        yield plugin.name, plugin.provider
    for name in sorted(blocked_names()):
        if not any(is_blocked(plugin, frozenset({name})) for plugin in plugins.blocked):
            value = os.environ[BLOCK_VARIABLE]
            yield name, f"is not installed; mend {BLOCK_VARIABLE}={value}"
