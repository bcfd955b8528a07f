"""Filling in the templates that lie beside this file."""

from dataclasses import asdict
from importlib.resources import files
from string import Template

from graftwork.cli.naming import Names

# Path in the new plugin to the template it is made from.
_FILES = {
    "adapter": {
        "pyproject.toml": "pyproject.toml.tmpl",
        "README.md": "README.md.tmpl",
        "src/$module/__init__.py": "init.py.tmpl",
        "src/$module/plugin.py": "plugin.py.tmpl",
        "src/$module/adapter.py": "adapter.py.tmpl",
        "src/$module/py.typed": "",
        "tests/test_$identifier.py": "test.py.tmpl",
    }
}


def render(kind: str, names: Names) -> dict[str, str]:
    """Relative path to text, for every file of a new plugin."""
    words = asdict(names)
    return {
        Template(path).substitute(words): Template(_text(kind, template)).substitute(words)
        for path, template in _FILES[kind].items()
    }


def _text(kind: str, template: str) -> str:
    if not template:
        return ""
    folder = files("graftwork.cli").joinpath("templates", kind)
    return folder.joinpath(template).read_text(encoding="utf-8")
