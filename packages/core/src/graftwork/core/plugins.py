"""The plugin manager: finds plugins, loads them lazily, and survives the broken ones."""

import functools
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pluggy

from graftwork.core import hookspecs
from graftwork.core.discovery import Plugin, blocked_names, installed, is_blocked
from graftwork.core.errors import one_line
from graftwork.core.guard import Guarded
from graftwork.core.nearest import did_you_mean
from graftwork.core.records import KINDS


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A plugin that could not be used, and why in one line."""

    name: str
    distribution: str
    reason: str


class PluginManager:
    """All installed plugins, loaded when first asked for.

    Names in ``GRAFTWORK_BLOCK`` are never imported. A plugin that fails to import, whose hook
    raises, or that implements an unknown hook is listed in `broken` and stops nobody.
    """

    def __init__(self, *, discover: bool = True) -> None:
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._plugins: dict[str, Plugin] = {}
        self._sources: dict[str, Any] = {}
        self._broken: list[Broken] = []
        self._blocked: tuple[Plugin, ...] = ()
        self._undiscovered = discover
        self._unchecked = False
        self.revision = 0
        """Grows with every plugin that comes or goes, so that a cache knows when to forget."""
        self.add_hookspecs(hookspecs)
        self._pluggy.hook.extend_hooks.call_historic(kwargs={"manager": self})

    @classmethod
    def empty(cls) -> "PluginManager":
        """A manager that discovers nothing, for tests; fill it with `register`."""
        return cls(discover=False)

    @property
    def hook(self) -> pluggy.HookRelay:
        """The hooks, to call by name: ``manager.hook.as_site(module=layer, name="conv")``."""
        self._settle()
        return self._pluggy.hook

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """The plugins in use."""
        self._settle()
        return tuple(self._plugins.values())

    @property
    def broken(self) -> tuple[Broken, ...]:
        """The plugins that failed, each asked for all of its records first."""
        for kind in KINDS:
            getattr(self.hook, kind)()
        self._settle()
        return tuple(self._broken)

    @property
    def blocked(self) -> tuple[Plugin, ...]:
        """The installed plugins that ``GRAFTWORK_BLOCK`` keeps out."""
        self._settle()
        return self._blocked

    def register(
        self, plugin: Any, name: str, *, distribution: str = "", version: str = ""
    ) -> None:
        """Add a module or object with hook implementations; a failure is listed, not raised."""
        self._add(Plugin(name=name, distribution=distribution or name, version=version), plugin)

    def add_hookspecs(self, specs: Any) -> None:
        """Add the hooks specified in a module or object; see the hook ``extend_hooks``."""
        self._pluggy.add_hookspecs(specs)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Tell every plugin, present and future, the resolved settings (hook ``configure``)."""
        self._settle()
        self._pluggy.hook.configure.call_historic(kwargs={"settings": settings})

    def _settle(self) -> None:
        if self._undiscovered:
            self._undiscovered = False  # first, for a plugin may ask for hooks while it loads
            self._discover()
        if self._unchecked:
            self._unchecked = False
            self._refuse_unknown_hooks()

    def _discover(self) -> None:
        names, found = blocked_names(), installed()
        self._blocked = tuple(plugin for plugin in found if is_blocked(plugin, names))
        for plugin in found:
            if plugin not in self._blocked:
                self._import(plugin)

    def _import(self, plugin: Plugin) -> None:
        assert plugin.entry_point is not None
        try:
            module = plugin.entry_point.load()
        except (Exception, SystemExit) as error:  # not even sys.exit() stops the host
            self._list_broken(plugin, f"fails to import: {one_line(error)}")
        else:
            self._add(plugin, module)

    def _add(self, plugin: Plugin, source: Any) -> None:
        twin = next((name for name, known in self._sources.items() if known is source), None)
        if twin is not None:
            self._list_broken(plugin, f"its module is already registered as {twin!r}")
            return
        name = self._free_name(plugin)
        self._plugins[name], self._sources[name] = plugin, source
        self._unchecked, self.revision = True, self.revision + 1
        try:
            self._pluggy.register(self._guarded(plugin, name, source), name)
        except Exception as error:
            self._drop(name, one_line(error))

    def _free_name(self, plugin: Plugin) -> str:
        # Two distributions may use one entry point name; that alone is no harm.
        name = plugin.name
        while name in self._sources:
            name = f"{name}@{plugin.distribution}"
        return name

    def _guarded(self, plugin: Plugin, name: str, source: Any) -> Guarded:
        marked = [name for name in dir(source) if self._pluggy.parse_hookimpl_opts(source, name)]
        return Guarded(
            {hook: getattr(source, hook) for hook in marked},
            provider=plugin.provider,
            failed=lambda hook, error: self._fail(name, hook, error),
        )

    def _refuse_unknown_hooks(self) -> None:
        hooks = vars(self._pluggy.hook)
        known = [name for name, hook in hooks.items() if hook.has_spec()]
        for name in sorted(hooks.keys() - set(known)):
            for implementation in hooks[name].get_hookimpls():
                if not implementation.optionalhook:
                    reason = f"unknown hook {name!r}{did_you_mean(name, known)}"
                    self._drop(implementation.plugin_name, reason)

    def _fail(self, name: str, hook: str, error: BaseException) -> None:
        # Not unregistered, for its hook is running: the guard's silence does as well.
        self._drop(name, f"hook {hook} raised {one_line(error)}", registered=False)
        if hook not in (*KINDS, "extend_hooks"):  # work is under way, and the user should know
            warnings.warn(
                f"plugin {name!r} failed in hook {hook} and is no longer called: "
                f"{one_line(error)}; see: graftwork doctor",
                RuntimeWarning,
                stacklevel=2,
            )

    def _drop(self, name: str, reason: str, *, registered: bool = True) -> None:
        plugin = self._plugins.pop(name, None)
        if plugin is not None:  # a plugin is listed for its first failure only
            self._list_broken(plugin, reason)
        if registered and self._pluggy.has_plugin(name):
            self._pluggy.unregister(name=name)

    def _list_broken(self, plugin: Plugin, reason: str) -> None:
        self.revision += 1
        self._broken.append(
            Broken(name=plugin.name, distribution=plugin.distribution, reason=reason)
        )


_swapped: list[PluginManager] = []


def manager() -> PluginManager:
    """The manager of this process."""
    return _swapped[-1] if _swapped else _discovering()


@functools.cache
def _discovering() -> PluginManager:
    return PluginManager()


@contextmanager
def use(other: PluginManager) -> Iterator[PluginManager]:
    """Make ``other`` the manager of this process inside the block, for tests."""
    _swapped.append(other)
    try:
        yield other
    finally:
        _swapped.remove(other)
