"""The page of the study, from what every arm came to."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from string import Template
from typing import Any

PAGE = Path(__file__).parent / "page.md"
SCORES = (
    "video-qa_colour",
    "video-qa_shape",
    "video-qa_direction",
    "video-pairs_direction",
    "video-qa_order",
    "video-pairs_order",
)
NAMES = {"mean": "mean (T-v1)", "importance": "importance (T-v2)", "delta": "delta (T-v3)"}
Found = Mapping[str, Any]


def write_page(path: Path, found: Sequence[Found]) -> None:
    """Write the table.

    Raises:
        SystemExit: an arm that cannot tell the order of frames was right about both of a pair, so
            the questions or the model leak it.
    """
    for one in found:
        if one["order_blind"] and one["scores"]["video-pairs"]:
            raise SystemExit(f"{one['temporal']}: blind to order, yet right about pairs")
    text = Template(PAGE.read_text(encoding="utf-8")).substitute(
        films=found[0]["films"],
        steps=found[0]["steps"],
        batch=found[0]["batch"],
        seeds=len({one["seed"] for one in found}),
        rows="\n".join(row(list(arms)) for _, arms in groupby(sorted(found, key=order), order)),
    )
    path.write_text(text, encoding="utf-8")


def order(one: Found) -> tuple[bool, int]:
    """Without frame tokens first; the modules as the paper numbers them."""
    return one["frame_tokens"], list(NAMES).index(one["temporal"])


def row(arms: Sequence[Found]) -> str:
    """One arm's row: its seeds side by side."""
    first = arms[0]
    cells = ["; ".join(percent(arm["scores"][score]) for arm in arms) for score in SCORES]
    seconds = sum(arm["seconds"] for arm in arms) / len(arms)
    name = NAMES[first["temporal"]] + (" + frame tokens" if first["frame_tokens"] else "")
    sizes = [str(first["rows"]), f"{first['parameters']:,}"]
    return "| " + " | ".join([name, *sizes, *cells, f"{seconds:.0f}"]) + " |"


def percent(share: float) -> str:
    """In percent; 0 and 100 alone are whole, so that nothing nearly all looks like all."""
    return f"{100 * share:.0f}" if share in (0, 1) else f"{100 * share:.1f}"
