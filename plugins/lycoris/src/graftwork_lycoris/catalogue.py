"""Which algorithms the installed LyCORIS has, read from its files without importing it."""

import ast
import functools
from importlib.util import find_spec
from pathlib import Path

BROKEN: dict[str, str] = {
    "dylora": "its weight is another one at every call, and it ignores what it is given to load",
    "ia3": "it cannot be rebuilt from its own file",
}
"""The algorithms that do not work in LyCORIS itself, and why."""


@functools.cache
def algorithms() -> tuple[str, ...]:
    """Every algorithm of the installed LyCORIS, by the name its networks take, sorted."""
    tree = ast.parse((_folder() / "wrapper.py").read_text(encoding="utf-8"))
    table = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "network_module_dict"
    )
    assert isinstance(table, ast.Dict)
    names = (key.value for key in table.keys if isinstance(key, ast.Constant))
    return tuple(sorted(name for name in names if isinstance(name, str)))


def working() -> tuple[str, ...]:
    """The algorithms that become adapters."""
    return tuple(name for name in algorithms() if name not in BROKEN)


def _folder() -> Path:
    spec = find_spec("lycoris")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'lycoris'", name="lycoris")
    return Path(spec.submodule_search_locations[0])
