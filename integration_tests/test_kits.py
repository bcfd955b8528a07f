"""First-party plugins run the suites that strangers run: none can be forgotten."""

import ast
from collections.abc import Iterator

import pytest

from graftwork.core.plugins import PluginManager
from graftwork.core.registry import Registry
from repository import distributions

SUITES = {
    "adapters": "AdapterSuite",
    "backbones": "BackboneSuite",
    "datasets": "DataSuite",
    "losses": "LossSuite",
    "metrics": "MetricSuite",
}
OF_TASK = {
    "text-to-image": {"backbones": "TextToImageSuite", "datasets": "CaptionedImagesSuite"},
    "raw-video": {
        "backbones": "RawDenoiserSuite",
        "datasets": "RawVideosSuite",
        "losses": "RawLossSuite",
        "metrics": "RawMetricSuite",
    },
    "video-chat": {
        "backbones": "VideoChatSuite",
        "datasets": "VideoInstructionsSuite",
        "losses": "AnswerLossSuite",
        "metrics": "AnswerMetricSuite",
    },
    "classification": {
        "backbones": "ImageClassifierSuite",
        "datasets": "LabelledImagesSuite",
        "losses": "LabelLossSuite",
        "metrics": "LabelMetricSuite",
    },
}
ALL = {*SUITES.values(), *(name for own in OF_TASK.values() for name in own.values()), "TokenSuite"}


def suites(source: str) -> Iterator[tuple[str, str]]:
    """Suite and plugin of every test class in a file that subclasses a suite."""
    above: dict[str, tuple[str, str]] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        names = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
        inherited = [above.get(name, (name, "")) for name in names]
        suite = next((suite for suite, _ in inherited if suite in ALL), "")
        named = _name(node) or next((plugin for _, plugin in inherited if plugin), "")
        above[node.name] = (suite, named)
        if suite and node.name.startswith("Test"):
            yield above[node.name]


def suite_of(kind: str, name: str) -> str:
    """The suite for a plugin: adapters that learn words, and tasks, have their own."""
    record = Registry(PluginManager()).find(kind, name)
    if getattr(record, "family", "") == "token":
        return "TokenSuite"
    return OF_TASK.get(getattr(record, "task", ""), {}).get(kind, SUITES[kind])


def _name(node: ast.ClassDef) -> str:
    """The constant that the class gives to `name`."""
    for line in node.body:
        targets = line.targets if isinstance(line, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "name" for target in targets):
            value = line.value  # type: ignore[attr-defined]
            return str(value.value) if isinstance(value, ast.Constant) else ""
    return ""


def what_they_run() -> dict[str, set[tuple[str, str]]]:
    """What each distribution's tests run: suite and plugin."""
    return {
        each.name: {
            found for file in each.tests.glob("**/test_*.py") for found in suites(file.read_text())
        }
        for each in distributions()
    }


def records() -> Iterator[tuple[str, str, str]]:
    """Kind, name and distribution of every plugin of ours.

    The methods of another library ("peft/vera") are walked by the tests of their bridge.
    """
    registry = Registry(PluginManager())
    ours = {each.name for each in distributions()}
    for kind in SUITES:
        for record in registry.records(kind):
            distribution = record.provider.partition(" ")[0]
            if distribution in ours and "/" not in record.name:
                yield kind, record.name, distribution


@pytest.mark.parametrize(("kind", "name", "distribution"), list(records()))
def test_a_plugin_of_ours_runs_its_suite(kind: str, name: str, distribution: str) -> None:
    suite = suite_of(kind, name)
    assert (suite, name) in what_they_run()[distribution], (
        f"no test of {distribution} subclasses {suite} with name = '{name}'; add one"
    )


@pytest.mark.parametrize("distribution", ["graftwork-peft", "graftwork-lycoris"])
def test_a_bridge_runs_the_suite_on_some_of_its_methods(distribution: str) -> None:
    assert {suite for suite, _ in what_they_run()[distribution]} == {"AdapterSuite"}


def test_every_kind_is_there() -> None:
    assert {kind for kind, _, _ in records()} == set(SUITES)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("class TestA(AdapterSuite):\n    name = 'a'", [("AdapterSuite", "a")]),
        ("class TestA(testing.LossSuite):\n    name = 'a'", [("LossSuite", "a")]),
        (
            "class Base(MetricSuite):\n    settings = {}\nclass TestA(Base):\n    name = 'a'",
            [("MetricSuite", "a")],
        ),
        ("class Kit(AdapterSuite):\n    name = 'a'", []),  # pytest does not collect it
        ("class TestA:\n    name = 'a'", []),
        ("class TestA(AdapterSuite):\n    label = 'a'", [("AdapterSuite", "")]),
    ],
)
def test_the_scan_finds_them(source: str, found: list[tuple[str, str]]) -> None:
    assert list(suites(source)) == found
