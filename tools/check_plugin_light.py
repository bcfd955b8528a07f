"""Is every `plugin.py` light: at import, the standard library and `graftwork.core` only?

`graftwork list` imports them all. A package's `__init__.py` runs before its `plugin.py`, so
the rule holds for it as well.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from repository import ROOT, Distribution, distributions, imports


def main(root: Path = ROOT) -> int:
    found = [line for each in distributions(root) for line in problems(each)]
    print("\n".join(found) or "plugin modules: light")
    return bool(found)


def problems(distribution: Distribution) -> Iterator[str]:
    for plugin in distribution.src.rglob("plugin.py"):
        for path in run_by_importing(plugin, distribution.src):
            for each in imports(path, lazy=False):
                if not is_light(each.module):
                    yield f"{path}:{each.line}: imports {each.module}; import it where it is used"


def run_by_importing(plugin: Path, src: Path) -> list[Path]:
    """The plugin and the `__init__.py` of every package around it."""
    around = [folder / "__init__.py" for folder in plugin.parents if folder.is_relative_to(src)]
    return [plugin, *(path for path in around if path.is_file())]


def is_light(module: str) -> bool:
    top, *rest = module.split(".")
    return top in sys.stdlib_module_names or (top == "graftwork" and rest[:1] == ["core"])


if __name__ == "__main__":
    sys.exit(main())
