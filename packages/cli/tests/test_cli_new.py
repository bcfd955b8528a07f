"""``graftwork new``: what it writes, and what it refuses."""

import errno
import os
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from graftwork.cli.naming import Names
from graftwork.core.plugins import PluginManager
from graftwork.core.registry import Registry

FILES = {
    "pyproject.toml",
    "README.md",
    "src/graftwork_my_method/__init__.py",
    "src/graftwork_my_method/plugin.py",
    "src/graftwork_my_method/adapter.py",
    "src/graftwork_my_method/py.typed",
    "tests/test_my_method.py",
}


@pytest.fixture
def folder(graftwork, tmp_path: Path) -> Path:
    said = graftwork("new", "adapter", "my-method", "--into", str(tmp_path))
    assert said.status == 0, said.err
    assert "graftwork-my-method" in said.out
    return tmp_path / "graftwork-my-method"


def test_every_file_is_there_and_filled_in(folder: Path) -> None:
    written = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert written == FILES
    for name in written:
        text = (folder / name).read_text()
        assert "$" not in text
        if name.endswith(".py"):
            compile(text, name, "exec")


def test_the_project_names_its_plugin(folder: Path) -> None:
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "graftwork-my-method"
    assert project["project"]["entry-points"]["graftwork"] == {
        "my-method": "graftwork_my_method.plugin"
    }
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [
        "src/graftwork_my_method"
    ]


def test_its_plugin_is_light_and_registers_the_adapter(folder: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(folder / "src")
    plugin = EntryPoint("my-method", "graftwork_my_method.plugin", "graftwork").load()
    manager = PluginManager.empty()
    manager.register(plugin, "my-method")
    assert not manager.broken
    record = Registry(manager).find("adapters", "my-method")
    assert record.target == "graftwork_my_method.adapter:MyMethod"
    assert record.config == "graftwork_my_method.adapter:MyMethodConfig"


def test_its_adapter_is_the_one_that_the_record_names(folder: Path) -> None:
    source = (folder / "src/graftwork_my_method/adapter.py").read_text()
    assert "class MyMethodConfig:" in source
    assert "class MyMethod(WeightAdapter):" in source
    assert "Search(" in source


def test_its_test_runs_the_kit(folder: Path) -> None:
    source = (folder / "tests/test_my_method.py").read_text()
    assert "class TestMyMethod(AdapterSuite):" in source
    assert 'name = "my-method"' in source


def test_an_existing_folder_is_refused_even_an_empty_one(graftwork, tmp_path: Path) -> None:
    (tmp_path / "graftwork-my-method").mkdir()
    said = graftwork("new", "adapter", "my-method", "--into", str(tmp_path))
    assert said.status == 2
    assert "exists already; choose another name or remove it" in said.err
    assert not list((tmp_path / "graftwork-my-method").iterdir())


@pytest.mark.parametrize(
    "name", ["", "My-Method", "3d", "a_b", "a--b", "-", "a-", "a b", "ä", "../x", "x" * 61]
)
def test_a_name_that_cannot_be_one_is_refused(graftwork, tmp_path, name: str) -> None:
    said = graftwork("new", "adapter", "--into", str(tmp_path), "--", name)
    assert said.status == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["none", "true", "site", "weight-adapter", "tensor", "float"])
def test_a_class_name_that_is_taken_is_refused(graftwork, tmp_path, name: str) -> None:
    said = graftwork("new", "adapter", name, "--into", str(tmp_path))
    assert said.status == 2
    assert "write a longer name" in said.err


def test_the_name_of_an_installed_adapter_is_refused(graftwork, tmp_path) -> None:
    said = graftwork("new", "adapter", "twist", "--into", str(tmp_path))
    assert said.status == 2
    assert "'twist' is an adapter of graftwork-dummy 1.2; choose another name" in said.err


def test_another_kind_is_refused(graftwork) -> None:
    said = graftwork("new", "adaptr", "x")
    assert said.status == 2
    assert "expected one of: 'adapter'" in said.err


def test_a_full_disk_leaves_nothing_half_done(graftwork, tmp_path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said = graftwork("new", "adapter", "my-method", "--into", str(tmp_path))
    assert said.status == 2
    assert "No space left on device" in said.err
    assert not list(tmp_path.iterdir())


def test_names_follow_from_one() -> None:
    assert Names.of("my-2nd-method") == Names(
        name="my-2nd-method",
        distribution="graftwork-my-2nd-method",
        module="graftwork_my_2nd_method",
        identifier="my_2nd_method",
        class_name="My2ndMethod",
    )
