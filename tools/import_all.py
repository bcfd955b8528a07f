"""Does every module of an installed distribution import, and every entry point load?

python tools/import_all.py graftwork-nn
"""

import importlib
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import PurePosixPath


def main(name: str) -> int:
    found = metadata.distribution(name)
    modules = shipped_modules([PurePosixPath(file) for file in found.files or []])
    broken = [
        module for module in modules if not works(lambda m=module: importlib.import_module(m))
    ]
    broken += [entry.value for entry in found.entry_points if not works(entry.load)]
    entries = len(found.entry_points)
    print(f"{name}: {len(modules)} modules, {entries} entry points, {len(broken)} broken {broken}")
    return bool(broken)


def shipped_modules(files: list[PurePosixPath]) -> list[str]:
    """Modules inside the packages of a wheel. Other Python files, such as templates, are data."""
    packages = {file.parent for file in files if file.name == "__init__.py"}
    paths = [file for file in files if file.suffix == ".py" and file.parent in packages]
    return sorted(
        ".".join((path.parent if path.name == "__init__.py" else path.with_suffix("")).parts)
        for path in paths
    )


def works(load: Callable[[], object]) -> bool:
    try:
        load()
    except Exception:
        traceback.print_exc(limit=-3)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
