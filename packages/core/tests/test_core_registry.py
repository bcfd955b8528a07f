from types import SimpleNamespace

import pytest

from graftwork.core import AdapterSpec, GraftworkError, hookimpl, registry
from graftwork.core.plugins import PluginManager
from graftwork.core.registry import Registry


def offering(*names: str) -> SimpleNamespace:
    def adapters():
        for name in names:
            yield AdapterSpec(name=name, target="m:X", summary="s", family="weight")

    return SimpleNamespace(adapters=hookimpl(adapters))


@pytest.fixture
def plugins() -> PluginManager:
    made = PluginManager.empty()
    made.register(offering("sine-lora", "dora"), "a", distribution="dist-a", version="1")
    made.register(offering("lora"), "b", distribution="dist-b", version="2")
    return made


def test_find_by_kind_and_name(plugins) -> None:
    assert Registry(plugins).find("adapters", "lora").provider == "dist-b 2"


def test_records_and_names_are_sorted(plugins) -> None:
    assert Registry(plugins).names("adapters") == ("dora", "lora", "sine-lora")
    assert [r.name for r in Registry(plugins).records("adapters")] == ["dora", "lora", "sine-lora"]
    assert Registry(plugins).records("losses") == ()


def test_an_unknown_name_gets_the_nearest(plugins) -> None:
    with pytest.raises(GraftworkError) as caught:
        Registry(plugins).find("adapters", "lroa")
    assert str(caught.value) == "adapters: unknown name 'lroa'; did you mean 'lora'?"


def test_an_unknown_kind_gets_the_nearest(plugins) -> None:
    with pytest.raises(GraftworkError, match=r"unknown kind 'adapter'; did you mean 'adapters'\?"):
        Registry(plugins).find("adapter", "lora")


def test_a_clash_names_both_distributions(plugins) -> None:
    plugins.register(offering("lora"), "c", distribution="dist-c", version="3")
    both = "adapters: 'lora' is offered by both dist-. . and dist-. .; uninstall one"
    with pytest.raises(GraftworkError, match=both) as caught:
        Registry(plugins).find("adapters", "lora")
    assert "dist-b 2" in str(caught.value)
    assert "dist-c 3" in str(caught.value)
    with pytest.raises(GraftworkError, match=both):
        Registry(plugins).records("adapters")


def test_a_clash_leaves_other_names_and_kinds_alone(plugins) -> None:
    plugins.register(offering("lora"), "c")
    found = Registry(plugins)
    assert found.find("adapters", "dora").name == "dora"
    assert found.records("losses") == ()


def test_clashes_are_told_over_all_kinds(plugins) -> None:
    assert Registry(plugins).clashes() == ()
    plugins.register(offering("lora", "dora"), "c")
    assert len(Registry(plugins).clashes()) == 2


def test_a_clash_within_one_distribution_is_a_clash() -> None:
    plugins = PluginManager.empty()
    plugins.register(offering("x", "x"), "a", distribution="dist-a")
    with pytest.raises(GraftworkError, match="both dist-a and dist-a"):
        Registry(plugins).find("adapters", "x")


def test_a_name_that_a_broken_plugin_may_have_had_is_explained(plugins) -> None:
    plugins.register(SimpleNamespace(adapters=hookimpl(lambda: 1 / 0)), "z", distribution="dist-z")
    with pytest.raises(GraftworkError, match=r"broken: dist-z; see: graftwork doctor"):
        Registry(plugins).find("adapters", "zeta")


def test_a_name_of_a_blocked_plugin_is_explained(install, monkeypatch) -> None:
    install("dist-q", {"q": "no_such_module"})
    monkeypatch.setenv("GRAFTWORK_BLOCK", "q")
    with pytest.raises(GraftworkError, match="kept out by GRAFTWORK_BLOCK: dist-q"):
        Registry(PluginManager()).find("adapters", "q-method")


def test_records_are_collected_once_until_a_plugin_comes(plugins) -> None:
    calls = []

    def losses():
        calls.append(1)
        return []

    plugins.register(SimpleNamespace(losses=hookimpl(losses)), "counting")
    found = Registry(plugins)
    found.records("losses")
    found.records("losses")
    found.records("adapters")
    found.records("losses")
    assert len(calls) == 1
    plugins.register(offering("new"), "late")
    assert "new" in found.names("adapters")


def test_use_swaps_what_the_module_functions_see(plugins) -> None:
    with registry.use(plugins) as found:
        assert registry.find("adapters", "lora") == found.find("adapters", "lora")
        assert registry.names("adapters") == ("dora", "lora", "sine-lora")
    with registry.use(PluginManager.empty()):
        assert registry.records("adapters") == ()
