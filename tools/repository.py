"""What the tools share: the distributions of this repository, and what their files import."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NAMESPACES = ("graftwork", "graftwork/backbones")


@dataclass(frozen=True)
class Distribution:
    """One folder with a `pyproject.toml`: a package of ours or a plugin."""

    folder: Path

    @property
    def short(self) -> str:
        """The folder's name, by which nox sessions call it: "nn"."""
        return self.folder.name

    @cached_property
    def pyproject(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "pyproject.toml").read_text("utf-8"))

    @property
    def name(self) -> str:
        return self.pyproject["project"]["name"]

    @property
    def src(self) -> Path:
        return self.folder / "src"

    @property
    def tests(self) -> Path:
        return self.folder / "tests"

    @property
    def requirements(self) -> list[str]:
        return self.pyproject["project"].get("dependencies", [])

    @property
    def extras(self) -> dict[str, list[str]]:
        return self.pyproject["project"].get("optional-dependencies", {})

    @property
    def groups(self) -> dict[str, list[str]]:
        return self.pyproject.get("dependency-groups", {})

    def sources(self) -> list[Path]:
        return sorted(self.src.rglob("*.py"))

    def portions(self) -> list[Path]:
        """The packages it ships: children of `src` that are no namespace folder."""
        namespaces = [self.src, *(self.src / name for name in NAMESPACES)]
        children = [child for folder in namespaces if folder.is_dir() for child in folder.iterdir()]
        return sorted(
            child
            for child in children
            if child.is_dir() and child.name.isidentifier() and child not in namespaces
            if child.name != "__pycache__"
        )

    def modules(self) -> list[str]:
        """Dotted names of its packages: "graftwork.backbones.diffusion"."""
        return [dotted(portion, self.src) for portion in self.portions()]


def distributions(root: Path = ROOT) -> list[Distribution]:
    """Every distribution, packages before plugins."""
    found = [*root.glob("packages/*/pyproject.toml"), *root.glob("plugins/*/pyproject.toml")]
    return [Distribution(path.parent) for path in sorted(found)]


def requirement_name(requirement: str) -> str:
    """The normalised name in a requirement: "Ray[tune]>=2.40" -> "ray"."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def closure(start: Distribution, names: list[str], among: list[Distribution]) -> list[Distribution]:
    """`start` and the distributions among `among` that `names` need, directly or not."""
    known = {each.name: each for each in among}
    found, waiting = {start.name: start}, list(names)
    while waiting:
        name = requirement_name(waiting.pop())
        if name in known and name not in found:
            found[name] = known[name]
            waiting += known[name].requirements
    return list(found.values())


def dotted(path: Path, src: Path) -> str:
    """The module that a file or folder under `src` is."""
    parts = path.relative_to(src).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@dataclass(frozen=True)
class Import:
    """One imported module, and where."""

    module: str
    line: int


def imports(path: Path, *, lazy: bool = True) -> Iterator[Import]:
    """What a file imports when it runs; without `lazy`, only what importing it imports.

    Imports for the type checker alone (`if TYPE_CHECKING`) never count: they run nowhere.
    """
    yield from _imports(ast.parse(path.read_text("utf-8")).body, lazy)


def _imports(nodes: list[ast.stmt], lazy: bool) -> Iterator[Import]:
    for node in nodes:
        match node:
            case ast.Import():
                yield from (Import(alias.name, node.lineno) for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                yield Import(module, node.lineno)
            case ast.If(test=test) if "TYPE_CHECKING" in ast.unparse(test):
                yield from _imports(node.orelse, lazy)
            case ast.FunctionDef() | ast.AsyncFunctionDef() if not lazy:
                pass
            case _:
                yield from _imports(_children(node), lazy)


def _children(node: ast.AST) -> list[ast.stmt]:
    """Statements directly below a node: bodies, branches, handlers, match cases."""
    below: list[ast.stmt] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            below.append(child)
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            below += child.body
    return below
