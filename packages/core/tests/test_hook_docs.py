"""The documentation of hooks cannot lag: names, arguments and modes are those of the specs."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from graftwork.core import hookspecs

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "hooks.md"
SPECS: dict[str, Any] = {
    name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "graftwork_spec")
}


@pytest.fixture
def sections() -> dict[str, str]:
    """Heading, as ``name(arguments)``, to the text under it."""
    if not PAGE.is_file():
        pytest.skip("docs/hooks.md belongs to the repository and is absent from a lone package")
    parts = re.split(r"^### `(.+)`$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def heading(name: str) -> str:
    return f"{name}({', '.join(inspect.signature(SPECS[name]).parameters)})"


def mode(name: str) -> str:
    options = SPECS[name].graftwork_spec
    return (
        "first result"
        if options["firstresult"]
        else "historic"
        if options["historic"]
        else "collected"
    )


def test_there_are_hooks_to_document() -> None:
    assert len(SPECS) == 21


def test_every_hook_is_documented_with_its_exact_arguments_in_order(sections) -> None:
    assert list(sections) == [heading(name) for name in SPECS]


@pytest.mark.parametrize("name", SPECS)
def test_a_section_is_complete(sections, name: str) -> None:
    text = sections[heading(name)]
    assert re.search(r"^- Fires: .+\.$", text, re.MULTILINE)
    assert f"- Mode: {mode(name)}.\n" in text
    documented = re.findall(r"^- Argument `(\w+)`: .+\.$", text, re.MULTILINE)
    assert documented == list(inspect.signature(SPECS[name]).parameters)
    assert re.search(r"^- Returns: .+\.$", text, re.MULTILINE)


@pytest.mark.parametrize("name", SPECS)
def test_an_example_runs_and_implements_its_hook(sections, name: str) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", sections[heading(name)], re.DOTALL)
    space: dict[str, Any] = {}
    exec(code, space)
    assert space[name].graftwork_impl
    taken = set(inspect.signature(space[name]).parameters)
    assert taken <= set(inspect.signature(SPECS[name]).parameters)


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_has_a_docstring_with_an_example(name: str) -> None:
    assert re.search(rf"Example::\n\n +@hookimpl\n +def {name}\(", SPECS[name].__doc__)


@pytest.mark.parametrize("name", SPECS)
def test_every_hook_has_a_test_named_after_it(name: str) -> None:
    trees = (ast.parse(path.read_text()) for path in HERE.glob("test_*.py"))
    tests = {
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    }
    assert f"test_hook_{name}" in tests
