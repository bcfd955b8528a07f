import subprocess
import sys
from types import SimpleNamespace

import pytest

from graftwork.core import AdapterSpec, GraftworkError, LossSpec, hookimpl
from graftwork.core.plugins import PluginManager, manager, use

GOOD = """
    from graftwork.core import AdapterSpec, hookimpl

    @hookimpl
    def adapters():
        yield AdapterSpec(name="{name}", target="m:X", summary="s", family="weight")
"""


def good(name: str) -> str:
    return GOOD.format(name=name)


def adapter_names(plugins: PluginManager) -> list[str]:
    return sorted(record.name for records in plugins.hook.adapters() for record in records)


def broken(plugins: PluginManager) -> dict[str, str]:
    return {f"{plugin.name} of {plugin.distribution}": plugin.reason for plugin in plugins.broken}


def registered(**hooks: object) -> PluginManager:
    plugins = PluginManager.empty()
    plugins.register(SimpleNamespace(**{n: hookimpl(f) for n, f in hooks.items()}), "mine")
    return plugins


def test_entry_points_are_found_and_records_carry_their_provider(install) -> None:
    install("graftwork-far", {"far": "far_plugin"}, far_plugin=good("far"))
    plugins = PluginManager()
    ((record,),) = plugins.hook.adapters()
    assert (record.name, record.provider) == ("far", "graftwork-far 1.2")
    assert [plugin.provider for plugin in plugins.plugins] == ["graftwork-far 1.2"]
    assert not plugins.broken


def test_nothing_is_imported_before_it_is_asked_for(install) -> None:
    install("graftwork-far", {"far": "far_plugin"}, far_plugin=good("far"))
    plugins = PluginManager()
    assert "far_plugin" not in sys.modules
    assert plugins.plugins
    assert "far_plugin" in sys.modules


@pytest.mark.parametrize("block", ["far", "Graftwork_Far", "other, far ,"])
def test_a_blocked_plugin_is_never_imported(install, monkeypatch, block: str) -> None:
    monkeypatch.setenv("GRAFTWORK_BLOCK", block)
    install("graftwork-far", {"far": "far_plugin"}, far_plugin="raise SystemExit('imported')")
    install("near", {"near": "near_plugin"}, near_plugin=good("near"))
    plugins = PluginManager()
    assert adapter_names(plugins) == ["near"]
    assert [plugin.name for plugin in plugins.blocked] == ["far"]
    assert "far_plugin" not in sys.modules
    assert not plugins.broken


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "fails to import: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", "fails to import: SystemExit: 3"),
        ("1 / 0", "fails to import: ZeroDivisionError: division by zero"),
        ("def broken(:", "fails to import: SyntaxError"),
    ],
)
def test_a_plugin_that_fails_to_import_is_listed(install, source: str, reason: str) -> None:
    install("far", {"far": "far_plugin"}, far_plugin=source)
    install("near", {"near": "near_plugin"}, near_plugin=good("near"))
    plugins = PluginManager()
    assert adapter_names(plugins) == ["near"]
    assert broken(plugins)["far of far"].startswith(reason)
    assert "\n" not in broken(plugins)["far of far"]


def test_an_entry_point_that_leads_nowhere_is_listed(install) -> None:
    install("far", {"far": "no_such_plugin_module", "worse": "not a module!"})
    assert set(broken(PluginManager())) == {"far of far", "worse of far"}


def test_damaged_metadata_hides_nobody(install, tmp_path) -> None:
    install("far", {"far": "far_plugin"}, far_plugin=good("far"))
    install("near", {"near": "near_plugin"}, near_plugin=good("near"))
    (tmp_path / "site" / "far-1.2.dist-info" / "METADATA").unlink()
    assert "near" in adapter_names(PluginManager())


def test_a_registration_hook_that_raises_breaks_only_its_plugin(install) -> None:
    source = good("far").replace("yield", "raise ValueError('no\\nluck'); yield")
    install("far", {"far": "far_plugin"}, far_plugin=source)
    install("near", {"near": "near_plugin"}, near_plugin=good("near"))
    plugins = PluginManager()
    assert adapter_names(plugins) == ["near"]
    assert broken(plugins) == {"far of far": "hook adapters raised ValueError: no luck"}
    assert [plugin.name for plugin in plugins.plugins] == ["near"]


def test_broken_asks_every_registration_hook() -> None:
    plugins = registered(formats=lambda: 1 / 0)
    assert "hook formats raised ZeroDivisionError" in broken(plugins)["mine of mine"]


def test_even_a_graftwork_error_breaks_a_registration_hook() -> None:
    def adapters():
        raise GraftworkError("no")

    assert adapter_names(plugins := registered(adapters=adapters)) == []
    assert broken(plugins)


def test_an_unknown_hook_is_listed_with_the_nearest() -> None:
    plugins = registered(adaptres=lambda: None, adapters=lambda: [record("kept")])
    assert broken(plugins) == {"mine of mine": "unknown hook 'adaptres'; did you mean 'adapters'?"}
    assert adapter_names(plugins) == []


def test_an_optional_hook_may_be_unknown() -> None:
    plugins = PluginManager.empty()
    hooks = {"search_progress": hookimpl(optionalhook=True)(lambda state: None)}
    plugins.register(SimpleNamespace(**hooks), "mine")
    assert not plugins.broken


def test_an_unknown_argument_is_listed() -> None:
    plugins = registered(adapters=lambda colour: [])
    assert "colour" in broken(plugins)["mine of mine"]
    assert "\n" not in broken(plugins)["mine of mine"]


def record(name: str) -> AdapterSpec:
    return AdapterSpec(name=name, target="m:X", summary="s", family="weight")


LOSS = LossSpec(name="x", target="m:X", summary="s")


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ([LOSS], "must give AdapterSpec records"),
        (LOSS, "must return a list of AdapterSpec records"),
        (["lora"], "must give AdapterSpec records"),
    ],
)
def test_wrong_records_break_the_plugin(result: object, reason: str) -> None:
    assert reason in broken(registered(adapters=lambda: result))["mine of mine"]


def test_no_records_are_no_mistake() -> None:
    plugins = registered(adapters=lambda: None, losses=lambda: ())
    assert not plugins.broken
    assert plugins.hook.losses() == [()]


def test_two_entry_points_of_one_name_both_work(install) -> None:
    install("one", {"same": "one_plugin"}, one_plugin=good("one"))
    install("two", {"same": "two_plugin"}, two_plugin=good("two"))
    plugins = PluginManager()
    assert adapter_names(plugins) == ["one", "two"]
    assert not plugins.broken


def test_one_module_registered_twice_counts_once(install) -> None:
    install("far", {"a": "far_plugin", "b": "far_plugin"}, far_plugin=good("far"))
    plugins = PluginManager()
    assert adapter_names(plugins) == ["far"]
    assert broken(plugins) == {"b of far": "its module is already registered as 'a'"}


def test_a_failing_lifecycle_hook_is_called_once_and_others_go_on() -> None:
    failed: list[int] = []
    seen: list[int] = []

    def fail(step: int) -> None:
        failed.append(step)
        raise ZeroDivisionError

    plugins = registered(after_step=fail)
    plugins.register(SimpleNamespace(after_step=hookimpl(lambda step: seen.append(step))), "other")
    with pytest.warns(RuntimeWarning, match=r"plugin 'mine' failed in hook after_step"):
        plugins.hook.after_step(run=None, step=1, logs={})
    plugins.hook.after_step(run=None, step=2, logs={})
    assert (failed, seen) == ([1], [1, 2])
    assert broken(plugins)["mine of mine"].startswith("hook after_step raised ZeroDivisionError")


def test_a_first_result_comes_from_the_next_plugin_when_one_fails() -> None:
    plugins = registered(as_site=lambda module: "second")
    plugins.register(SimpleNamespace(as_site=hookimpl(lambda module: 1 / 0)), "bad")
    with pytest.warns(RuntimeWarning):
        assert plugins.hook.as_site(module=None, name="x") == "second"


def test_a_plugin_may_stop_a_run_with_a_graftwork_error() -> None:
    def after_step(step):
        raise GraftworkError("disk: full; free some space")

    plugins = registered(after_step=after_step)
    with pytest.raises(GraftworkError, match="disk: full"):
        plugins.hook.after_step(run=None, step=1, logs={})
    assert not plugins.broken


def test_a_plugin_with_state_is_an_object() -> None:
    class Counter:
        def __init__(self) -> None:
            self.steps = 0

        @hookimpl
        def after_step(self, step: int) -> None:
            self.steps += step

    plugins, counter = PluginManager.empty(), Counter()
    plugins.register(counter, "counter")
    plugins.hook.after_step(run=None, step=3, logs={})
    assert counter.steps == 3


def test_wrappers_work() -> None:
    def adapters():
        results = yield
        return [*results, (record("added"),)]

    plugins = registered(losses=lambda: ())
    plugins.register(SimpleNamespace(adapters=hookimpl(wrapper=True)(adapters)), "wrapper")
    assert adapter_names(plugins) == ["added"]


def test_the_revision_grows_with_what_is_registered_and_broken() -> None:
    plugins = PluginManager.empty()
    start = plugins.revision
    plugins.register(SimpleNamespace(losses=hookimpl(lambda: 1 / 0)), "mine")
    after = plugins.revision
    plugins.hook.losses()
    assert start < after < plugins.revision


def test_use_swaps_the_manager_of_the_process() -> None:
    before, mine = manager(), PluginManager.empty()
    with use(mine):
        assert manager() is mine
        with use(PluginManager.empty()):
            assert manager() is not mine
        assert manager() is mine
    assert manager() is before


def test_import_and_discovery_are_light() -> None:
    code = """
import sys
from graftwork.core import *
from graftwork.core import plugins, registry, atomic, versions
manager = plugins.PluginManager()
registry.Registry(manager).records("adapters")
heavy = {"pydantic", "torch", "numpy", "ray", "rich", "tyro", "annotated_types"}
sys.exit(", ".join(heavy & set(sys.modules)) or 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
