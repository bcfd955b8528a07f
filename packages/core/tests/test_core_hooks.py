"""One test for every hook: it reaches a plugin, with these arguments, in this mode."""

from types import SimpleNamespace
from typing import Any

import pytest

from graftwork.core import hookimpl
from graftwork.core.plugins import PluginManager
from graftwork.core.records import KINDS, RECORDS


def with_plugin(manager: PluginManager, name: str, **hooks: Any) -> PluginManager:
    manager.register(SimpleNamespace(**{hook: hookimpl(f) for hook, f in hooks.items()}), name)
    return manager


def check_registration(kind: str, **needs: Any) -> None:
    """Records of two plugins are collected, stamped with whom they came from."""
    manager = PluginManager.empty()
    for name in ("one", "two"):
        given = RECORDS[kind](name=name, target="m:X", summary="s", **needs)
        with_plugin(manager, name, **{kind: lambda given=given: [given]})
    records = {record.name: record for group in getattr(manager.hook, kind)() for record in group}
    assert {name: record.provider for name, record in records.items()} == {
        "one": "one",
        "two": "two",
    }


def test_hook_adapters() -> None:
    check_registration("adapters", family="weight")


def test_hook_losses() -> None:
    check_registration("losses")


def test_hook_metrics() -> None:
    check_registration("metrics", task="t", higher_is_better=False)


def test_hook_backbones() -> None:
    check_registration("backbones", task="t", default_loss="denoising")


def test_hook_datasets() -> None:
    check_registration("datasets", task="t")


def test_hook_searchers() -> None:
    check_registration("searchers")


def test_hook_schedulers() -> None:
    check_registration("schedulers")


def test_hook_sinks() -> None:
    check_registration("sinks")


def test_hook_tasks() -> None:
    check_registration("tasks", sampling="a.b:C")


def test_hook_formats() -> None:
    check_registration("formats", suffixes=(".bin",), reads=True)


def test_hook_commands() -> None:
    check_registration("commands", example="graftwork x")


def first_of_two(hook: str, **arguments: Any) -> Any:
    manager, asked = PluginManager.empty(), []

    def answer(name: str, value: Any) -> Any:
        asked.append(name)
        return value

    with_plugin(manager, "last", **{hook: lambda: answer("last", "never reached")})
    with_plugin(manager, "second", **{hook: lambda: answer("second", "the answer")})
    with_plugin(manager, "first", **{hook: lambda: answer("first", None)})
    result = getattr(manager.hook, hook)(**arguments)
    assert asked == ["first", "second"]
    return result


def test_hook_as_site() -> None:
    assert first_of_two("as_site", module=object(), name="conv") == "the answer"
    assert PluginManager.empty().hook.as_site(module=object(), name="conv") is None


def test_hook_default_sites() -> None:
    assert first_of_two("default_sites", backbone=object(), adapter="lora") == "the answer"


def check_told(hook: str, **arguments: Any) -> None:
    """Every plugin is told everything; one may take fewer arguments."""
    told: list[Any] = []
    manager = PluginManager.empty()
    every = ", ".join(arguments)
    takes_all = eval(
        f"lambda {every}: told.append(dict({', '.join(f'{a}={a}' for a in arguments)}))",
        {"told": told},
    )
    with_plugin(manager, "all", **{hook: takes_all})
    with_plugin(manager, "none", **{hook: lambda: told.append("none")})
    getattr(manager.hook, hook)(**arguments)
    assert told == ["none", arguments]


def test_hook_before_fit() -> None:
    check_told("before_fit", run=object())


def test_hook_after_step() -> None:
    check_told("after_step", run=object(), step=3, logs={"loss": 0.5})


def test_hook_after_eval() -> None:
    check_told("after_eval", run=object(), step=3, metrics={"kps": 0.5})


def test_hook_work_done() -> None:
    check_told("work_done", what="frames", done=2, total=None)


def test_hook_text_written() -> None:
    check_told("text_written", text="to the left")


def test_hook_after_fit() -> None:
    check_told("after_fit", run=object(), outcome="done")


def test_hook_configure() -> None:
    told: list[Any] = []
    manager = with_plugin(
        PluginManager.empty(), "early", configure=lambda settings: told.append(settings)
    )
    manager.configure({"seed": 1})
    with_plugin(manager, "late", configure=lambda settings: told.append(("late", settings)))
    assert told == [{"seed": 1}, ("late", {"seed": 1})]


def test_hook_configure_goes_on_past_a_failing_plugin() -> None:
    told: list[Any] = []
    manager = with_plugin(
        PluginManager.empty(), "good", configure=lambda settings: told.append(settings)
    )
    with_plugin(manager, "bad", configure=lambda settings: 1 / 0)
    with pytest.warns(RuntimeWarning, match="bad"):
        manager.configure({"seed": 1})
    assert told == [{"seed": 1}]


def test_hook_extend_hooks() -> None:
    from graftwork.core.hookspecs import hookspec

    @hookspec
    def paint(colour: str) -> None:
        """A hook that only this plugin knows."""

    manager = PluginManager.empty()
    with_plugin(manager, "painter", paint=lambda colour: f"painted {colour}")
    with_plugin(
        manager,
        "easel",
        extend_hooks=lambda manager: manager.add_hookspecs(SimpleNamespace(paint=paint)),
    )
    assert not manager.broken
    assert manager.hook.paint(colour="red") == ["painted red"]


def test_hook_extend_hooks_that_fails_breaks_only_its_plugin(recwarn) -> None:
    manager = with_plugin(PluginManager.empty(), "bad", extend_hooks=lambda manager: 1 / 0)
    (broken,) = manager.broken
    assert broken.reason.startswith("hook extend_hooks raised ZeroDivisionError")
    assert not manager.plugins
    assert not recwarn.list  # finding plugins is no place for warnings


def test_every_kind_is_a_hook() -> None:
    assert all(hasattr(PluginManager.empty().hook, kind) for kind in KINDS)
