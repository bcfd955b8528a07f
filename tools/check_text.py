"""Is every file free of one machine's paths, of package index hosts, and of unfinished notes?

Brackets in the patterns keep this file from finding itself.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from repository import ROOT

FORBIDDEN = {
    "a path of one machine": r"(?<![\w.~/-])/([r]oot|[w]ork|home/\w|Users/\w)|[A-Z]:\\Users",
    "a package index": r"pypi\.[o]rg|pythonhosted\.[o]rg|download\.pytorch\.[o]rg"
    r"|(extra-)?[i]ndex-url|[f]ind-links",
    "an unfinished note": r"\b(TO[D]O|FIX[M]E|XX[X])\b",
}
LARGEST = 2_000_000


def main(root: Path = ROOT) -> int:
    found = [line for path in kept_files(root) for line in problems(path)]
    print("\n".join(found) or "text: clean")
    return bool(found)


def kept_files(root: Path) -> list[Path]:
    """Files that git keeps or would keep."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    paths = (root / name for name in names.split("\0") if name)
    return sorted({path for path in paths if path.is_file()})


def problems(path: Path) -> Iterator[str]:
    if path.stat().st_size > LARGEST:
        return
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        return
    for number, line in enumerate(lines, start=1):
        for what, pattern in FORBIDDEN.items():
            if match := re.search(pattern, line):
                yield f"{path}:{number}: {what}: {match.group()!r}"


if __name__ == "__main__":
    sys.exit(main())
