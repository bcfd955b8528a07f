"""Checks for every kind of plugin: its record, its settings, and what its import costs."""

import importlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from graftwork.core import registry
from graftwork.core.config import as_dict, describe, parse, schema
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import manager
from graftwork.core.records import Record
from graftwork.testing.suite import Suite

HEAVY = ("torch", "numpy", "ray", "rich", "tyro", "pydantic", "diffusers", "transformers")
"""What a plugin module may not import: it is read to print a list."""


class PluginSuite(Suite):
    """Checks of one record. Give `kind` and `name`, and `settings` if some are required."""

    kind: ClassVar[str]
    """The registration hook: "adapters", "losses", ..."""
    name: ClassVar[str]
    """The registered name."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Settings that the checks use, as a run file would give them."""
    plugin: ClassVar[str] = ""
    """Module with the hooks; found by the entry point when left empty."""
    base: ClassVar[type | None] = None
    """What the target has to be a subclass of."""

    @property
    def record(self) -> Record:
        """The record under test."""
        return registry.find(self.kind, self.name)

    def parsed(self, **changes: Any) -> Any:
        """The suite's settings, some of them changed, as the plugin's settings class."""
        return parse(self.record.settings_class(), {**self.settings, **changes}, self.name)

    def setting_names(self) -> set[str]:
        """Names of the plugin's settings."""
        return {setting.name for setting in describe(self.record.settings_class())}

    def test_record_is_complete(self) -> None:
        """The record can be listed: a one-line summary and well-formed sources.

        When it fails: fill in the field that the message names where `plugin.py` makes the record.
        """
        record = self.record
        assert record.summary.strip(), "summary: empty; say in one line what it does"
        assert len(record.summary) <= 80, "summary: longer than 80 characters; shorten it"
        assert "\n" not in record.summary, "summary: several lines; keep one"
        assert record.summary[-1] != ".", "summary: ends in a full stop; leave it out"
        for source in record.cites:
            assert ":" in source.split()[0], f"cites: '{source}'; begin with 'arXiv:' or 'doi:'"

    def test_name_is_unique(self) -> None:
        """No other installed plugin offers the same name.

        When it fails: rename yours, or uninstall the plugin that the message names.
        """
        try:
            names = [record.name for record in registry.records(self.kind)]
        except GraftworkError as error:
            pytest.fail(str(error))
        assert names.count(self.name) == 1, f"'{self.name}' is not registered; check the hook"

    def test_target_loads(self) -> None:
        """The record's target is a documented class of the right base.

        When it fails: correct `target` in the record, or the class it names.
        """
        target = self.record.load()
        assert isinstance(target, type), f"target: {target!r} is not a class; name the class"
        if self.base is not None:
            assert issubclass(target, self.base), f"target: derive it from {self.base.__name__}"
        own = vars(target).get("__doc__") or ""
        assert own.strip(), "target: no docstring; give its equation and its source"

    def test_settings_are_documented(self) -> None:
        """Every setting has a docstring under it and appears in the JSON Schema.

        When it fails: write a string literal under the field that the message names.
        """
        settings_class = self.record.settings_class()
        listed = schema(settings_class).get("properties", {})
        for setting in describe(settings_class):
            assert setting.doc.strip(), f"{setting.name}: no docstring under the field; write one"
            assert setting.name.partition(".")[0] in listed, f"{setting.name}: not in the schema"

    def test_settings_survive_a_file(self) -> None:
        """Settings written to a file and read back are the same.

        When it fails: give the settings class fields of plain types (numbers, strings, tuples),
        and let `__post_init__` change none of them.
        """
        settings = self.parsed()
        again = parse(type(settings), as_dict(settings), self.name)
        assert again == settings, f"{again} instead of {settings}; use fields of plain types"

    def test_search_ranges_are_valid(self) -> None:
        """Both ends of every search range are values that the setting accepts.

        When it fails: narrow the `Search(...)` that the message names, or widen the bound.
        """
        for setting in describe(self.record.settings_class()):
            if setting.search is None or "." in setting.name:
                continue
            for value in setting.search.choices or (setting.search.low, setting.search.high):
                whole = "int" in setting.type_text and float(value).is_integer()
                try:
                    self.parsed(**{setting.name: int(value) if whole else value})
                except GraftworkError as error:
                    pytest.fail(f"{setting.name}: Search offers {value}, which is refused: {error}")

    def test_unknown_setting_is_refused(self) -> None:
        """A mistyped setting is an error, not ignored.

        When it fails: declare the settings with `@config`, which refuses unknown keys.
        """
        try:
            self.parsed(no_such_setting=1)
        except GraftworkError:
            return
        pytest.fail("'no_such_setting' was accepted; declare the settings with @config")

    def test_plugin_module_is_light(self) -> None:
        """Importing the plugin module imports no heavy library, so that listing stays fast.

        When it fails: name the code by string in the record, and move the import that the message
        names into the module behind it. A package's `__init__.py` runs too: keep it empty.
        """
        found = heavy_imports(self.plugin or entry_point_module(self.record))
        assert not found, f"the plugin module imports {', '.join(found)}; import where it is used"


def entry_point_module(record: Record) -> str:
    """The module of the entry point that brought a record."""
    for plugin in manager().plugins:
        if plugin.entry_point is not None and plugin.provider == record.provider:
            module = plugin.entry_point.module
            if _offers(importlib.import_module(module), record):
                return module
    pytest.fail(
        f"no entry point brings '{record.name}'; declare one in pyproject.toml under "
        "[project.entry-points.graftwork], and reinstall"
    )


def heavy_imports(module: str) -> list[str]:
    """The heavy libraries that a fresh interpreter has loaded after importing a module."""
    code = f"import sys, {module}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    path = [*filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"import {module} fails: {done.stderr.strip().splitlines()[-1:]}"
    return done.stdout.split()


def _offers(module: Any, record: Record) -> bool:
    hook = getattr(module, record.kind, None)
    return hook is not None and any(one.name == record.name for one in hook())
