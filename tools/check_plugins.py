"""Do the plugins keep to what a stranger has: the public API, from outside?

A plugin imports `graftwork.core` and `graftwork.nn` (its tests: `graftwork.testing` too), and
nothing of ours imports a plugin.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from repository import ROOT, Distribution, distributions, imports

PUBLIC = ("graftwork.core", "graftwork.nn")


def main(root: Path = ROOT) -> int:
    every = distributions(root)
    plugins = [each for each in every if each.folder.parent.name == "plugins"]
    theirs = {module for each in plugins for module in each.modules()}
    found = [line for each in plugins for line in reaching_in(each)]
    for each in every:
        if each not in plugins:
            found += depending_on(each, theirs)
    print("\n".join(found) or "plugins: strangers")
    return bool(found)


def reaching_in(plugin: Distribution) -> Iterator[str]:
    for path in plugin.sources():
        for each in imports(path):
            ours = each.module.split(".")[0] == "graftwork"
            if ours and ".".join(each.module.split(".")[:2]) not in PUBLIC:
                yield f"{path}:{each.line}: imports {each.module}; a plugin has {PUBLIC} only"


def depending_on(distribution: Distribution, theirs: set[str]) -> Iterator[str]:
    for path in distribution.sources():
        for each in imports(path):
            if each.module.split(".")[0] in theirs:
                yield f"{path}:{each.line}: imports the plugin {each.module}; use the registry"


if __name__ == "__main__":
    sys.exit(main())
