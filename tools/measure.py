"""How do the distributions measure up? Prints rows 1, 2, 4, 5, 6 and 10 of the yardstick.

One walk over the syntax trees of every `src`; files of five lines or fewer do not count.

| column | meaning                                                                          |
|--------|----------------------------------------------------------------------------------|
| typed  | public functions whose every argument and result is annotated                    |
| doc    | public functions and classes with a docstring                                    |
| cite   | arXiv links per 1,000 lines                                                      |
| eq     | references to an equation, algorithm, section or formula per 1,000 lines         |
| shape  | jaxtyping annotations, `rearrange` and `einsum` per 1,000 lines                  |
| T/C    | lines of tests over lines of code                                                |
"""

import ast
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from repository import ROOT, Distribution, distributions

SMALLEST = 5
CITE = re.compile(r"arxiv(\.org/\w+/|:)\s*\d", re.IGNORECASE)
EQUATION = re.compile(r":math:|\b(Eq|Equation|Alg|Algorithm|Sec|Section|Appendix)s?\.?\s*\(?\w?\d")
SHAPE = re.compile(r"\b(Float|Int|Bool|Shaped|Num|Complex)\[\w+, \"|\b(rearrange|einsum)\(")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class File:
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return self.text.count("\n")


def main(root: Path = ROOT) -> int:
    print(f"{'':12}" + "".join(f"{name:>9}" for name in HEADER))
    every = distributions(root)
    for each in [[one] for one in every] + [every]:
        name = each[0].short if len(each) == 1 else "all"
        if files := read(path for one in each for path in one.sources()):
            print(f"{name:12}" + "".join(f"{value:>9}" for value in row(files, test_lines(each))))
    return 0


HEADER = ("kLOC", "median", "largest", "fn med", "fn p90", "typed", "doc", "cite", "eq", "shape")
HEADER += ("T/C",)


def row(files: list[File], tests: int) -> list[str]:
    sizes = [file.lines for file in files]
    lengths = [length(node) for file in files for node in functions(file.tree)] or [0]
    total = sum(sizes)
    return [
        f"{total / 1000:.1f}",
        f"{median(sizes):.0f}",
        f"{max(sizes)}",
        f"{median(lengths):.0f}",
        f"{quantiles([*lengths, *lengths], n=10)[-1]:.0f}",
        percent(is_typed(node) for file in files for node in functions(file.tree) if public(node)),
        percent(bool(ast.get_docstring(node)) for file in files for node in api(file.tree.body)),
        *(rate(pattern, files, total) for pattern in (CITE, EQUATION, SHAPE)),
        f"{tests / total:.2f}",
    ]


def read(paths: Iterable[Path]) -> list[File]:
    texts = (path.read_text("utf-8") for path in paths)
    return [File(text, ast.parse(text)) for text in texts if text.count("\n") > SMALLEST]


def test_lines(every: list[Distribution]) -> int:
    paths = [path for each in every for path in each.tests.rglob("*.py")]
    return sum(file.lines for file in read(paths))


def functions(tree: ast.Module) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def public(node: Function | ast.ClassDef) -> bool:
    return not node.name.startswith("_") or node.name == "__init__"


def api(body: list[ast.stmt]) -> list[Function | ast.ClassDef]:
    """Public functions and classes of a module, and public methods of its classes."""
    found = [node for node in body if isinstance(node, Function | ast.ClassDef)]
    found = [node for node in found if not node.name.startswith("_")]
    classes = [node for node in found if isinstance(node, ast.ClassDef)]
    return found + [node for each in classes for node in api(each.body)]


def is_typed(node: Function) -> bool:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    every += [each for each in (node.args.vararg, node.args.kwarg) if each]
    missing = [each.arg for each in every if each.annotation is None]
    return not set(missing) - {"self", "cls"} and node.returns is not None


def percent(answers: Iterable[bool]) -> str:
    every = list(answers)
    return f"{sum(every) / len(every):.0%}" if every else "-"


def rate(pattern: re.Pattern[str], files: list[File], total: int) -> str:
    return f"{1000 * sum(len(pattern.findall(file.text)) for file in files) / total:.1f}"


if __name__ == "__main__":
    sys.exit(main())
