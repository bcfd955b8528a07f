"""Does docs/bridges.md say what every method of PEFT and LyCORIS does? `--write` writes it anew.

Without `--write` all but the column of the kit is seen again, which takes seconds; the kit is run
for the methods that are named.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from string import Template

from bridges.kit import REASONS, results
from bridges.measured import seen
from bridges.methods import Method, methods, versions
from repository import ROOT

PAGE = ROOT / "docs" / "bridges.md"
TEMPLATE = Template((ROOT / "tools" / "bridges" / "page.md").read_text("utf-8"))
HEAD = """\
| adapter | made | starts as the backbone | merges | files | packed q, k, v | kit |
|---|---|---|---|---|---|---|"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="run the kit on all, and write")
    parser.add_argument("methods", nargs="*", help="methods to run the kit on, as 'peft/vera'")
    arguments = parser.parse_args()
    if arguments.write:
        PAGE.write_text(page(results()), "utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")
        return 0
    found = stale(arguments.methods)
    print("\n".join(found) or "bridges: as the page says")
    return bool(found)


def stale(kit: Sequence[str] = ()) -> list[str]:
    """The lines of the page that would be others now; the kit is run for the methods of `kit`."""
    text = PAGE.read_text("utf-8")
    told = kit_column(text)
    if kit:
        told |= results(kit)
    lines = set(text.splitlines())
    return [
        f"{PAGE.name}: not there (python tools/table_bridges.py --write): {line}"
        for line in page(told).splitlines()
        if line not in lines
    ]


def page(kit: Mapping[str, str]) -> str:
    """The page, given the kit's results by method."""
    every = methods()
    tables = {}
    for library in ("peft", "lycoris"):
        own = [method for method in every if method.kind.startswith(f"{library}/")]
        rows = [
            _row(method, kit.get(method.kind, "not run")) for method in own if not method.broken
        ]
        broken = [f"| {m.kind.partition('/')[2]} | {m.broken} |" for m in own if m.broken]
        tables |= {
            library: "\n".join([HEAD, *rows]),
            f"{library}_working": len(rows),
            f"{library}_all": len(own),
            f"{library}_broken": "\n".join(["| method | because |", "|---|---|", *broken]),
        }
    reasons = "\n".join(f"- {check}: {why}." for check, why in REASONS.items())
    return TEMPLATE.substitute(tables, versions=versions(), reasons=reasons)


def kit_column(text: str) -> dict[str, str]:
    """The kit's results that a page tells."""
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    return {row[1].strip(" `"): row[-2].strip() for row in rows}


def _row(method: Method, kit: str) -> str:
    found = seen(method)
    flags = (found.identity, found.merges, found.files, found.packs)
    words = " | ".join("yes" if flag else "no" for flag in flags)
    return f"| `{method.kind}` | {found.path} | {words} | {kit} |"


if __name__ == "__main__":
    sys.exit(main())
