"""Broken records, settings and plugin modules, each caught by the check named beside it."""

import sys
from dataclasses import dataclass
from typing import Annotated

import pytest

from graftwork.core import hookimpl, plugins
from graftwork.core.config import Ge, Le, Search, config
from graftwork.core.plugins import PluginManager
from graftwork.core.records import LossSpec
from graftwork.nn.loss import Loss
from graftwork.testing import LossSuite

HERE = __name__


@config
class Sound:
    """Settings."""

    power: Annotated[int, Ge(1), Le(4), Search(1, 4)] = 2
    """Exponent."""


@config
class Undocumented:
    """Settings."""

    power: int = 2


@config
class SearchesTooFar:
    """Settings."""

    power: Annotated[int, Ge(1), Le(4), Search(1, 8)] = 2
    """Exponent."""


@config
class Forgetful:
    """Settings."""

    power: int = 2
    """Exponent."""

    def __post_init__(self):
        object.__setattr__(self, "power", self.power + 1)


@dataclass(frozen=True)
class Lenient:
    """Settings that take anything."""

    power: int = 2
    """Exponent."""


class Power(Loss):
    """mean |prediction - target|^p."""

    def __call__(self, step):
        return (step.prediction - step.target).abs().pow(2).mean()


class Undescribed(Power):
    pass


class Stranger:
    """Derived from nothing."""


def some_function():
    """Not a class."""


class Offer:
    def __init__(self, changes, count=1):
        base = {"name": "power", "target": f"{HERE}:Power", "config": f"{HERE}:Sound"}
        self.records = [LossSpec(**{**base, "summary": "a power", **changes})] * count

    @hookimpl
    def losses(self):
        return self.records


class Suite(LossSuite):
    name = "power"


MUTANTS = [
    ({"summary": ""}, "test_record_is_complete"),
    ({"summary": "a power."}, "test_record_is_complete"),
    ({"summary": "a\npower"}, "test_record_is_complete"),
    ({"summary": "a" * 90}, "test_record_is_complete"),
    ({"cites": ("Some paper, 2020",)}, "test_record_is_complete"),
    ({"name": "other"}, "test_name_is_unique"),
    ({"target": f"{HERE}:some_function"}, "test_target_loads"),
    ({"target": f"{HERE}:Undescribed"}, "test_target_loads"),
    ({"target": f"{HERE}:Stranger"}, "test_target_loads"),
    ({"config": f"{HERE}:Undocumented"}, "test_settings_are_documented"),
    ({"config": f"{HERE}:SearchesTooFar"}, "test_search_ranges_are_valid"),
    ({"config": f"{HERE}:Forgetful"}, "test_settings_survive_a_file"),
    ({"config": f"{HERE}:Lenient"}, "test_unknown_setting_is_refused"),
    ({}, "test_plugin_module_is_light"),  # registered by hand: no entry point
]

CAUGHT = (AssertionError, pytest.fail.Exception)


def offering(changes, count=1):
    manager = PluginManager()
    manager.register(Offer(changes, count), "offer")
    return plugins.use(manager)


@pytest.mark.parametrize(("changes", "check"), MUTANTS)
def test_mutant_is_caught(changes, check):
    with offering(changes), pytest.raises(CAUGHT) as caught:
        getattr(Suite(), check)()
    assert str(caught.value).strip()


@pytest.mark.parametrize("check", sorted({check for _, check in MUTANTS[:-1]}))
def test_sound_plugin_passes(check):
    with offering({}):
        getattr(Suite(), check)()


def test_two_plugins_of_one_name_are_caught():
    with offering({}, count=2), pytest.raises(CAUGHT, match="offered by both"):
        Suite().test_name_is_unique()


@pytest.mark.parametrize(("line", "light"), [("import numpy", False), ("import json", True)])
def test_heavy_plugin_module_is_caught(line, light, tmp_path, monkeypatch):
    (tmp_path / "graftwork_heavy.py").write_text(line + "\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    suite = type("Heavy", (Suite,), {"plugin": "graftwork_heavy"})()
    if light:
        suite.test_plugin_module_is_light()
        return
    with pytest.raises(AssertionError, match="imports numpy"):
        suite.test_plugin_module_is_light()
