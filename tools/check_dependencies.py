"""Does every distribution declare exactly what its source imports?

Imports inside functions count: they run on somebody's machine one day. A dependency that is
needed without being imported by name is listed with its reason in the distribution's
`[tool.graftwork.unimported]`.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from repository import ROOT, Distribution, distributions, imports, requirement_name

# Where the name to import is not the name to install.
INSTALLED_AS = {
    "PIL": "pillow",
    "lycoris": "lycoris-lora",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def main(root: Path = ROOT) -> int:
    every = distributions(root)
    owners = {module: each.name for each in every for module in each.modules()}
    found = [line for each in every for line in problems(each, owners)]
    print("\n".join(found) or "dependencies: ok")
    return bool(found)


def problems(distribution: Distribution, owners: dict[str, str]) -> Iterator[str]:
    extras = [line for lines in distribution.extras.values() for line in lines]
    declared = {requirement_name(line) for line in [*distribution.requirements, *extras]}
    used = imported(distribution, owners)
    for name, where in sorted(used.items()):
        if name not in declared:
            yield f"{where}: imports {name}; declare it in {distribution.short}/pyproject.toml"
    unimported = distribution.pyproject.get("tool", {}).get("graftwork", {}).get("unimported", {})
    # A distribution without code exists for what it pulls.
    idle = declared - used.keys() - unimported.keys() if distribution.portions() else set()
    for name in sorted(idle):
        yield f"{distribution.folder / 'pyproject.toml'}: {name} is declared and never imported"
    for name in sorted(unimported.keys() & used.keys()):
        yield f"{distribution.folder / 'pyproject.toml'}: {name} is imported; not 'unimported'"


def imported(distribution: Distribution, owners: dict[str, str]) -> dict[str, str]:
    """The distributions that the source imports, and one place where."""
    places = {}
    for path in distribution.sources():
        for each in imports(path):
            name = provider(each.module, owners)
            if name and name != distribution.name:
                places.setdefault(name, f"{path}:{each.line}")
    return places


def provider(module: str, owners: dict[str, str]) -> str | None:
    """The distribution that a module comes from; None for the standard library."""
    top = module.split(".")[0]
    if top in sys.stdlib_module_names:
        return None
    if top == "graftwork" or module in owners or top in owners:
        ours = (name for owner, name in owners.items() if f"{module}.".startswith(f"{owner}."))
        return next(ours, "graftwork")
    return INSTALLED_AS.get(top, re.sub(r"[_.]+", "-", top).lower())


if __name__ == "__main__":
    sys.exit(main())
