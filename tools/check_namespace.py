"""Is `graftwork` a namespace package that every distribution can add to?

One `__init__.py` in a namespace folder hides all other portions, and a `py.typed` there types
nothing. Every portion has both.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from repository import NAMESPACES, ROOT, Distribution, distributions


def problems(distribution: Distribution) -> Iterator[str]:
    for folder in (distribution.src / name for name in NAMESPACES):
        for file in folder.glob("*.*"):
            yield f"{file}: a namespace folder holds no files; move it into a portion"
    for portion in distribution.portions():
        for name in ("__init__.py", "py.typed"):
            if not (portion / name).is_file():
                yield f"{portion}: {name} is missing; every portion has one"


def main(root: Path = ROOT) -> int:
    found = [line for each in distributions(root) for line in problems(each)]
    print("\n".join(found) or "namespace: ok")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
